// Studies side by side: the best so far in one picture, and what they search.

import { get, part } from "../api.js";
import { chart } from "../chart.js";
import { byId, el, empty, fill, state } from "../dom.js";
import { failed, toast } from "../forms.js";
import { integer, number, time, value } from "../format.js";
import { live } from "../live.js";
import { bestOf, key, MOST, namesIn, rowsOf, specOf } from "../sides.js";

const host = byId("compare");
const known = new Map(); // name -> {study, rows}
let chosen = namesIn(new URLSearchParams(location.search).get("studies") ?? "");
let [picture, timer] = [null, null];

const input = el("input", { type: "text", "aria-label": "Names of studies", placeholder: "digits, digits-again", autocomplete: "off", spellcheck: "false", list: "study-names" });
const names = el("datalist", { id: "study-names" });
const form = el("form", { class: "toolbar", on: { submit: (event) => (event.preventDefault(), choose(namesIn(input.value))) } }, el("div", { class: "search" }, input, names), el("button", { class: "primary" }, "Compare"));
const along = (value, label) => el("button", { type: "button", "aria-pressed": String(value === "trial"), data: { along: value }, on: { click: () => turn(value) } }, label);
const axis = el("div", { class: "segments", role: "group", "aria-label": "Along" }, along("trial", "By trial"), along("time", "By time"));
const curves = el("div", { class: "tall" });
const warning = el("p", { class: "note" });
const pictureSection = el("section", { id: "best", "aria-labelledby": "best-title" }, el("div", { class: "heading" }, el("h2", { id: "best-title" }, "Best so far"), el("div", { class: "actions" }, axis)), warning, curves);
const sides = el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Studies side by side, scrolls sideways" });
const tableSection = el("section", { id: "sides", "aria-labelledby": "sides-title" }, el("div", { class: "heading" }, el("h2", { id: "sides-title" }, "Side by side")), sides);
const none = el("div");

const specPath = () => `/pictures/studies.json?along=${axis.querySelector('[aria-pressed="true"]').dataset.along}`;

async function turn(value) {
  for (const one of axis.children) one.setAttribute("aria-pressed", String(one.dataset.along === value));
  picture?.respec(await specOf(specPath()));
}

function choose(wanted) {
  chosen = wanted;
  history.replaceState(null, "", `?studies=${chosen.map(part).join()}`);
  input.value = chosen.join(", ");
  load();
}

async function load(again = []) {
  try {
    const wanted = chosen.filter((name) => !known.has(name) || again.includes(name));
    const asked = await Promise.allSettled(wanted.map((name) => both(name)));
    const away = wanted.filter((_, i) => asked[i].status === "rejected");
    asked.forEach((one, i) => one.status === "fulfilled" && known.set(wanted[i], one.value));
    chosen = chosen.filter((name) => !away.includes(name));
    if (away.length) toast(`There is no study ${away.join(", ")}.`, { bad: true });
    await draw();
  } catch (problem) {
    failed(host, problem, load);
  }
}

async function both(name) {
  const [study, table] = await Promise.all([get(`/studies/${part(name)}`), get(`/studies/${part(name)}/rows`)]);
  return { study, table };
}

/** The rows of all studies, each with its study's place, and the hours from the study's beginning to its end. */
function rows() {
  return chosen.flatMap((name, place) => {
    const { table, study } = known.get(name);
    const began = Math.min(...table.rows.map((row) => Date.parse(row.started_at ?? "")).filter(Number.isFinite));
    const less = study.direction !== "maximize";
    return table.rows.map((row) => ({ ...row, number: place * 1e7 + row.number, place, name, less, hours: row.finished_at ? (Date.parse(row.finished_at) - began) / 3_600_000 : null }));
  });
}

async function draw() {
  host.removeAttribute("aria-busy");
  if (form.parentNode !== host) fill(host, form, none, pictureSection, tableSection);
  const isEmpty = chosen.length === 0;
  [pictureSection.hidden, tableSection.hidden] = [isEmpty, isEmpty];
  fill(none, isEmpty && empty(`Write the names of two or more studies, at most ${MOST}.`, el("p", {}, el("a", { href: "/" }, "All studies"))));
  if (isEmpty) return;
  drawSides();
  const metrics = new Set(chosen.map((name) => known.get(name).study.metric));
  warning.textContent = metrics.size > 1 ? `They do not have the same metric (${[...metrics].join(", ")}): their lines cannot be compared.` : "";
  if (picture) picture.replace("rows", rows());
  else picture = chart(curves, await specOf(specPath()), { rows: rows() }, { label: "The best so far of each study" });
}

function drawSides() {
  const studies = chosen.map((name) => known.get(name).study);
  const sameMetric = new Set(studies.map((one) => `${one.metric} ${one.direction}`)).size === 1;
  const head = el("tr", {}, el("td", {}), studies.map((one, i) => el("th", { scope: "col" }, key(i), el("a", { href: `/studies/${part(one.name)}` }, one.name), " ",
    el("button", { type: "button", class: "quiet", "aria-label": `Leave out ${one.name}`, on: { click: () => choose(chosen.filter((name) => name !== one.name)) } }, "×"))));
  const plain = (name, read, best = []) => el("tr", {}, el("th", { scope: "row" }, name), studies.map((one, i) => el("td", { class: best.includes(i) ? "best" : null }, read(one) ?? "–")));
  const group = (name) => el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: studies.length + 1 }, name));
  const objects = (read) => rowsOf(studies.map(read)).map((row) => el("tr", { class: row.differs ? null : "same" }, el("th", { scope: "row" }, row.name), row.values.map((one) => el("td", {}, one ?? "–"))));
  const bests = sameMetric ? bestOf(studies.map((one) => one.best?.value), studies[0].direction !== "maximize") : [];
  fill(sides, el("table", { class: "sides" }, el("thead", {}, head), el("tbody", {},
    plain("Title", (one) => one.title || "–"), plain("State", (one) => state(one.state)), plain("Metric", (one) => `${one.metric}, ${one.direction}`),
    plain("Best", (one) => number(one.best?.value), bests), plain("Best trial", (one) => one.best && el("a", { href: `/studies/${part(one.name)}/trials/${one.best.number}` }, `Trial ${one.best.number}`)),
    plain("Trials", (one) => `${integer(one.spent.trials)} of ${integer(one.budget.max_trials)}`), plain("Epochs", (one) => integer(one.spent.epochs)), plain("Made", (one) => time(one.created_at)),
    group("Space"), objects((one) => Object.fromEntries(Object.entries(one.space).map(([name, parameter]) => [name, described(parameter)]))),
    group("Search"), objects((one) => ({ sampler: one.search.sampler, pruning: one.pruning.rule ?? "none", replicates: value(one.search.replicates), mode: one.mode })),
    group("Task"), objects((one) => taskOf(one.task)))));
}

/** A parameter of a space in a few words. */
export function described(parameter) {
  const { type, low, high, scale, values, mean, sigma } = parameter;
  if (type === "fixed") return `fixed at ${value(parameter.value)}`;
  if (values) return values.map(value).join(", ");
  if (low !== undefined && low !== null) return `${number(low)} to ${number(high)}${scale && scale !== "linear" ? `, ${scale}` : ""}`;
  return `${type} ${[mean, sigma].filter((one) => one !== undefined).map((one) => number(one)).join(", ")}`;
}

const taskOf = (task) => (task ? Object.fromEntries(Object.entries({ ...task, ...task.fixed }).filter(([name, one]) => one !== null && !["fixed", "checkpoints", "limits", "metrics"].includes(name)).map(([name, one]) => [name, value(one)])) : {});

async function suggest() {
  const { items } = await get("/studies?page_size=100");
  fill(names, items.map((one) => el("option", { value: one.name })));
}

input.value = chosen.join(", ");
load().then(suggest).catch(() => {});
const changed = new Set();
live("/stream", {
  studies: (data) => {
    for (const one of data.studies ?? data) if (chosen.includes(one.name)) changed.add(one.name);
    if (changed.size) timer ??= setTimeout(() => ((timer = null), load([...changed]), changed.clear()), 2000);
  },
  caughtUp: () => load(chosen),
});
