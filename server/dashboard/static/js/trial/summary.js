// What has become of a trial, in one line, and what can be done to it.

import { part } from "../api.js";
import { byId, el, fill, patched, redrawn, state } from "../dom.js";
import { duration, number, time } from "../format.js";
import { when } from "../when.js";
import { describe, verbs } from "./verbs.js";
import { hasEnded } from "./changes.js";

const MAIN = new Set(["pause", "resume", "checkpoint", "requeue"]);

export class Summary {
  constructor(store) {
    this.store = store;
    [this.notices, this.facts] = [el("div", {}), el("dl", { class: "facts" })];
    this.tags = el("div", { class: "toolbar" });
    this.node = el("div", {}, this.notices, this.facts, this.tags);
    this.actions = byId("actions");
    this.state = byId("state");
    store.on("trial", () => this.draw());
    store.on("study", () => this.draw());
    store.on("curves", () => this.draw());
  }

  draw() {
    const { trial, study } = this.store;
    if (!trial || !study) return;
    patched(this.state, state(trial.state, [trial.state, trial.invalid ? "invalid" : "", waiting(trial)].filter(Boolean).join(", ")));
    patched(this.facts, facts(trial, study, this.store.curves?.metrics));
    patched(this.notices, notices(trial));
    this.#tags(trial);
    this.#actions(trial, study);
    document.title = `Trial ${trial.number} · ${trial.study} · Sturgeon`;
  }

  #tags(trial) {
    const shown = JSON.stringify([trial.tags, trial.notes]);
    if (shown === this.shownTags) return;
    this.shownTags = shown;
    const edit = el("button", { type: "button", class: "quiet", on: { click: () => describe(this.store) } }, trial.tags.length || trial.notes ? "Edit tags and notes" : "Add tags or notes");
    fill(this.tags, el("span", { class: "tags" }, trial.tags.map((tag) => el("span", { class: "tag" }, tag))), trial.notes && el("p", { class: "notes" }, trial.notes), edit);
  }

  /** Drawn anew only when other verbs are possible, so that the focus stays. */
  #actions(trial, study) {
    const possible = verbs(this.store, trial, study);
    const shown = possible.map((one) => one.id).join();
    if (shown === this.shownActions) return;
    this.shownActions = shown;
    const more = possible.filter((one) => !MAIN.has(one.id));
    const act = (one) => () => {
      this.#closeMenu();
      one.run();
    };
    const button = (one) => el("button", { type: "button", class: one.danger ? "danger" : null, on: { click: act(one) } }, one.label);
    const menu = more.length && el("details", { class: "dropdown", on: { keydown: (event) => event.key === "Escape" && this.#closeMenu() } }, el("summary", { class: "button" }, "More"), el("div", { class: "menu" }, more.map(button)));
    const beside = el("a", { class: "button quiet", href: `/studies/${part(trial.study)}/compare?trials=${trial.number}` }, "Compare");
    redrawn(this.actions, () => fill(this.actions, possible.filter((one) => MAIN.has(one.id)).map(button), beside, menu));
  }

  /** The focus goes to what opens it again, so that it is there when a dialog has closed. */
  #closeMenu() {
    const menu = this.actions.querySelector("details[open]");
    if (!menu) return;
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  }
}

/** What is asked of a run and is not done yet. */
function waiting(trial) {
  const { desired, applied_version: applied } = trial;
  if (hasEnded(trial) || !desired || desired.version <= (applied ?? 0)) return "";
  if (desired.run === "pause" && trial.state !== "paused") return "about to pause";
  if (desired.run === "stop") return "about to stop";
  return "";
}

/** The last value of a curve, and its epoch. */
const last = (curve) => ({ epoch: curve?.epochs.at(-1) ?? null, value: curve?.values.at(-1) ?? null });

function facts(trial, study, curves = {}) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const now = last(curves[study.metric]);
  const epoch = now.epoch ?? trial.metrics.epoch;
  const all = trial.params.epochs ?? study.task?.fixed?.epochs ?? study.task?.epochs;
  const isLong = String(study.task?.dataset ?? "").startsWith("stream:");
  const isEarlier = hasEnded(trial) && trial.metrics.epoch < epoch; // the result is that of its best epoch
  const notes = [isEarlier && `at epoch ${number(trial.metrics.epoch)}`, study.best?.number === trial.number && "the best of the study"].filter(Boolean);
  const score = trial.value ?? trial.metrics[study.metric] ?? now.value;
  return [
    fact(trial.value === null ? `${study.metric} now` : study.metric, number(score), notes.length > 0 && el("span", { class: "note" }, notes.join(", "))),
    trial.guess != null && fact("Predicted at its end", number(trial.guess)),
    epoch != null && fact(isLong ? "Portions" : "Epoch", all && !isLong ? `${number(epoch)} of ${number(all)}` : number(epoch)),
    trial.step != null && !isEarlier && fact("Steps", number(trial.step)),
    fact("Kind", trial.mode),
    trial.worker && fact(hasEnded(trial) ? "Ran on" : "Runs on", el("a", { href: `/workers#${part(trial.worker)}` }, trial.worker)),
    fact("Attempt", number(trial.attempt + 1)),
    (trial.metrics.seconds ?? last(curves.seconds).value) != null && fact("Training time", duration(trial.metrics.seconds ?? last(curves.seconds).value)),
    trial.started_at && fact("Began", when(trial.started_at)),
    trial.finished_at && fact("Ended", when(trial.finished_at)),
    trial.parent && fact("Goes on from", el("a", { href: `/studies/${part(trial.study)}/trials/${trial.parent.number}` }, `trial ${trial.parent.number}`), el("span", { class: "note" }, `step ${number(trial.parent.step)}`)),
  ].filter(Boolean);
}

function notices(trial) {
  const { invalid, error, where } = trial;
  return [
    invalid && el("div", { class: "problem summary" }, el("p", {}, el("strong", {}, "Invalid. "), invalid.reason), el("p", { class: "note" }, `Said ${time(invalid.at)}. The trial counts for nothing.`)),
    error && el("div", { class: "problem summary" }, el("pre", { tabindex: "0" }, error)),
    !error && where && el("div", { class: "problem summary" }, el("p", {}, `Numbers ceased to be finite in ${where}.`)),
  ];
}
