// A trial that follows a stream: its fresh error portion by portion, the alarms, and what came of each.

import { part } from "../api.js";
import { byId, el, empty, fill, patched, state } from "../dom.js";
import { failed } from "../forms.js";
import { number } from "../format.js";
import { eventItem, sentence } from "../happened.js";
import { isStream } from "../trial/changes.js";
import { Served } from "../trial/served.js";
import { TrialStore } from "../trial/store.js";
import { changes } from "../trial/timeline.js";
import { when } from "../when.js";

const { study, number: n } = document.body.dataset;
const host = byId("drift");
const store = new TrialStore(study, Number(n));
const trialPath = `/studies/${part(study)}/trials/${n}`;

const section = (id, title, ...content) => el("section", { id, "aria-labelledby": `${id}-title` }, el("div", { class: "heading" }, el("h2", { id: `${id}-title` }, title)), content);
const facts = el("dl", { class: "facts" });
const curve = el("div", { class: "tall" });
const alarms = el("tbody");
const alarmSection = section("alarms", "Alarms and answers", el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Alarms, scrolls sideways" },
  el("table", { class: "plain stacked" }, el("thead", {}, el("tr", {}, ["Portion", "What changed", "What the policy did", "When"].map((name) => el("th", { scope: "col" }, name)))), alarms)));
const quiet = el("p", { class: "note" });
const retests = el("ol", { class: "events" });
const retestSection = section("retests", "Retests and challenges", retests);
const refused = el("ol", { class: "events" });
const refusedSection = section("refused", "Portions that were refused", refused);
const picture = new Served(curve, "drift", { label: ({ datasets }) => `The error on each portion, with ${datasets.alarms.length} alarms` });

const RETESTS = /^(retest|challenge)/;

function drawFacts() {
  const { trial, events, timeline } = store;
  if (!trial) return;
  patched(byId("state"), state(trial.state));
  const fact = (name, ...shown) => el("div", {}, el("dt", {}, name), el("dd", {}, shown));
  const newest = (name) => store.curves?.metrics[name]?.values.at(-1) ?? trial.metrics[name]; // a trial that runs has told its curves alone
  const portion = newest("portion") ?? store.curves?.metrics.fresh_error?.epochs.at(-1);
  const drifts = (events ?? []).filter((one) => one.kind === "drift").length;
  const answers = (timeline?.items ?? []).filter((one) => one.actor === "policy:drift").length;
  patched(facts, fact("Portions", number(portion == null ? 0 : portion + 1)), fact("Fresh error", number(newest("fresh_error")), el("span", { class: "note" }, "of the newest portion")), fact("Recent error", number(newest("recent_error")), el("span", { class: "note" }, "of the last ten")),
    fact("Alarms", number(drifts)), fact("Answers of the policy", number(answers)), fact("Trial", el("a", { href: trialPath }, `Trial ${n}`)));
}

/** The policy's entry that answers an alarm: the first one that names its portion. */
export function answerTo(portion, items) {
  return items.find((one) => one.actor === "policy:drift" && new RegExp(`^Drift at portion ${Number(portion)}\\b`).test(one.reason));
}

function drawAlarms() {
  const { events, timeline, proposals } = store;
  if (!events) return;
  const found = events.filter((one) => one.kind === "drift");
  const others = (timeline?.items ?? []).filter((one) => one.actor === "policy:drift" && !/^Drift at portion/.test(one.reason));
  const rows = found.map((one) => alarm(one, timeline?.items ?? [], proposals ?? []));
  const usual = others.map((one) => el("tr", {}, el("th", { scope: "row", data: { label: "Portion" } }, "–"), cell("What changed", "calm again"), cell("Answer", one.reason), cell("When", when(one.at))));
  patched(alarms, [...rows, ...usual].reverse());
  quiet.textContent = found.length ? "" : "No alarm so far: the inputs, the labels and the fresh error are as they were.";
  alarmSection.firstElementChild.after(quiet);
  alarmSection.querySelector(".sideways").hidden = rows.length + usual.length === 0;
  const list = (node, place, wanted) => {
    const items = events.filter(wanted);
    place.hidden = items.length === 0;
    patched(node, [...items].reverse().map((one) => eventItem(one, study, { trial: false })));
  };
  list(retests, retestSection, (one) => RETESTS.test(one.kind));
  list(refused, refusedSection, (one) => one.kind === "portion_refused");
}

const cell = (label, ...content) => el("td", { data: { label } }, content);

function alarm(event, items, proposals) {
  const { portion_number: portion, tests } = event.detail;
  const answer = answerTo(portion, items);
  const open = proposals.find((one) => one.state === "open" && one.reason.startsWith(`Drift at portion ${portion} `));
  const did = answer ? [changes(answer.params), el("p", { class: "note" }, `version ${answer.version}, ${answer.state}`)] : open ? ["It proposes a change: ", el("a", { href: `${trialPath}#proposals` }, "accept or dismiss it")] : "nothing";
  return el("tr", {}, el("th", { scope: "row", data: { label: "Portion" } }, number(portion)), cell("What changed", el("p", {}, state("diverged", (tests ?? []).join(", ") || "drift")), sentence(event, study)), cell("Answer", did), cell("When", when(event.at)));
}

function drawCurve() {
  if (curve.isConnected && store.curves) picture.show(`${store.path}/plots/drift`);
}

async function begin() {
  try {
    await store.begin();
    host.removeAttribute("aria-busy");
    if (!isStream(store.study)) {
      store.close();
      fill(host, empty(`Trial ${n} does not follow a stream, so nothing is tested for drift.`, el("p", {}, el("a", { href: trialPath }, `Trial ${n}`))));
      return;
    }
    fill(host, facts, section("curve", "Fresh error by portion", curve), alarmSection, retestSection, refusedSection);
    drawCurve();
  } catch (problem) {
    store.close();
    failed(host, problem, problem.status === 404 ? null : () => location.reload());
    if (problem.status === 404) host.append(el("p", {}, el("a", { href: `/studies/${part(study)}` }, `The study ${study}`)));
  }
}

store.on("curves", drawCurve);
for (const name of ["trial", "events", "timeline", "proposals", "curves"]) store.on(name, () => (drawFacts(), drawAlarms()));
begin();
