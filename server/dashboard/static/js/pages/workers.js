// Workers: what they do, what they may run, and drain. Those that are gone stand apart.

import { all, part, send } from "../api.js";
import { byId, command, el, empty, fill, state } from "../dom.js";
import { dialog, failed, toast } from "../forms.js";
import { count, integer, number } from "../format.js";
import { live } from "../live.js";
import { when } from "../when.js";

const EVERY_MS = 5000; // load is not an event of its own: leases move it
const host = byId("workers");
const summary = el("dl", { class: "facts" });
const here = el("div");
const gone = el("details", { hidden: true }, el("summary", {}, "Gone"), el("div"));
const known = new Map();
let timer = null;

function facts(workers) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const alive = workers.filter((one) => !one.gone);
  const sum = (read) => alive.reduce((total, one) => total + read(one), 0);
  fill(summary, fact("Workers", integer(alive.length)), fact("Slots", integer(sum((one) => one.slots))), fact("Trials that run", integer(sum((one) => one.running))), fact("Draining", integer(alive.filter((one) => one.drain).length)));
}

function stateOf(one) {
  if (one.gone) return state("cancelled", "gone");
  if (one.drain) return state("paused", one.running ? "draining" : "drained");
  return one.running ? state("running", "at work") : state("queued", "idle");
}

function holds({ holds: trials, running }) {
  if (!trials.length) return running ? count(running, "trial") : "nothing";
  const shown = trials.slice(0, 12).flatMap((one, i) => [i ? ", " : "", el("a", { href: `/studies/${part(one.study)}/trials/${one.number}` }, `${one.study} ${one.number}`)]);
  return [shown, running > 12 ? ` and ${integer(running - 12)} more` : ""];
}

function load({ slots, running }) {
  if (slots > 32) return `${integer(running)} trials in ${count(slots, "slot")}`;
  const boxes = Array.from({ length: slots }, (_, i) => el("i", { class: i < running ? "busy" : null }));
  return [el("span", { class: "slots", "aria-hidden": "true" }, boxes), ` ${integer(running)} in ${count(slots, "slot")}`];
}

function drawn(one) {
  const pair = (name, shown) => shown && el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, shown));
  const has = [one.gpus ? count(one.gpus, "GPU") : "", one.memory_gb ? `${number(one.memory_gb, 3)} GB of memory` : ""].filter(Boolean).join(", ");
  const unable = one.unable.length > 0 && el("ul", {}, one.unable.map((it) => el("li", {}, el("a", { href: `/studies/${part(it.study)}` }, it.study), `: ${it.reason}`)));
  const drain = !one.drain && !one.gone && el("button", { type: "button", "aria-label": `Drain ${one.name}`, on: { click: () => drainDialog(one) } }, "Drain …");
  return el("section", { class: "worker", id: one.name, "aria-label": one.name },
    el("div", {}, el("h2", {}, one.name), stateOf(one), el("p", { class: "note" }, "heard of ", when(one.last_seen_at))),
    el("table", { class: "pairs" }, el("tbody", {}, pair("load", load(one)), pair("holds", holds(one)), pair("runs", one.kinds.join(", ")), pair("labels", one.labels.length > 0 && el("span", { class: "tags" }, one.labels.map((label) => el("span", { class: "tag" }, label)))), pair("has", has), pair("cannot run", unable))),
    el("div", { class: "actions" }, drain));
}

function drainDialog(one) {
  return dialog({
    title: `Drain ${one.name}`, act: "Drain", danger: true,
    text: `It finishes the ${count(one.running, "trial")} that it runs, takes nothing new, and ends. To have it again, start it again.`,
    submit: async () => {
      await send("POST", `/workers/${part(one.name)}:drain`);
      toast(`${one.name} drains.`);
      again();
    },
  });
}

/** A worker that is as it was keeps its place in the page, and the focus with it. */
function show(workers) {
  const node = (one) => {
    const { last_seen_at: seen, ...rest } = one;
    const key = JSON.stringify(rest);
    const before = known.get(one.name);
    if (before?.key === key) {
      const time = before.node.querySelector("time");
      time.replaceWith(when(seen));
      return before.node;
    }
    const focused = before?.node.contains(document.activeElement);
    const made = drawn(one);
    known.set(one.name, { key, node: made });
    if (focused) queueMicrotask(() => made.querySelector("button, a")?.focus());
    return made;
  };
  facts(workers);
  const [alive, dead] = [workers.filter((one) => !one.gone), workers.filter((one) => one.gone)];
  place(here, alive.length ? alive.map(node) : [nobody()]);
  place(gone.lastElementChild, dead.map(node));
  gone.hidden = dead.length === 0;
  gone.firstElementChild.textContent = `${count(dead.length, "worker")} gone: not heard of for a minute`;
}

function nobody() {
  known.clear();
  return empty("No worker is here. Start one on any machine that reaches this server:", command(`sturgeon --server ${location.origin} worker --slots 2`));
}

function place(parent, nodes) {
  if (nodes.length === parent.children.length && nodes.every((node, i) => node === parent.children[i])) return;
  fill(parent, nodes);
}

async function again() {
  clearTimeout(timer);
  try {
    show(await all("/workers"));
    host.removeAttribute("aria-busy");
    if (summary.parentNode !== host) fill(host, summary, here, gone);
  } catch (problem) {
    if (host.hasAttribute("aria-busy")) failed(host, problem, again);
  } finally {
    timer = setTimeout(() => (document.hidden ? (timer = setTimeout(again, EVERY_MS)) : again()), EVERY_MS);
  }
}

let soon = null;
live("/stream", { workers: () => (soon ??= setTimeout(() => ((soon = null), again()), 300)), caughtUp: again });
again().then(() => location.hash && byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView());
