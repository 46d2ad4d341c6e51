// A trial: its curves, what can be done to it, and what its model gets wrong.

import { part } from "../api.js";
import { byId, el, fill } from "../dom.js";
import { failed } from "../forms.js";
import { Data, Parameters } from "../trial/about.js";
import { isStream } from "../trial/changes.js";
import { Checkpoints, Lineage } from "../trial/checkpoints.js";
import { Curves, Gradients } from "../trial/curves.js";
import { Diagnosis } from "../trial/diagnosis.js";
import { KnobLines } from "../trial/knob_lines.js";
import { Knobs } from "../trial/knobs.js";
import { Happened, Log } from "../trial/log.js";
import { Mistakes } from "../trial/mistakes.js";
import { TrialStore } from "../trial/store.js";
import { Summary } from "../trial/summary.js";
import { Proposals, Timeline } from "../trial/timeline.js";

const { study, number } = document.body.dataset;
const host = byId("trial");
const store = new TrialStore(study, Number(number));
const made = (Part) => new Part(store).node;
const parts = [
  made(Summary), made(Proposals), el("div", { class: "grid" }, el("div", { class: "two-thirds" }, made(Curves), made(KnobLines), made(Timeline)), el("div", { class: "third" }, made(Knobs), made(Parameters))),
  ...[Diagnosis, Mistakes, Gradients, Checkpoints, Lineage, Log, Data, Happened].map(made),
];

function beside({ counts }) {
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const link = (n, label, mark) => n >= 0 && n < total && el("a", { href: `/studies/${part(study)}/trials/${n}`, "aria-label": label }, mark);
  const drift = isStream(store.study) && el("a", { href: `/studies/${part(study)}/drift/${number}` }, "Drift");
  fill(byId("beside"), drift, link(store.number - 1, `Trial ${store.number - 1}`, "←"), link(store.number + 1, `Trial ${store.number + 1}`, "→"));
}

async function begin() {
  try {
    fill(host, parts);
    await store.begin();
    host.removeAttribute("aria-busy");
  } catch (problem) {
    store.close();
    failed(host, problem, problem.status === 404 ? null : () => location.reload());
    if (problem.status === 404) host.append(el("p", {}, el("a", { href: `/studies/${part(study)}` }, `The study ${study}`), ", ", el("a", { href: "/" }, "all studies")));
  }
}

store.on("study", beside);
begin();
