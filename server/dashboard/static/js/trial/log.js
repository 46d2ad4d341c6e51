// What a trial's runs have printed, and what has happened to the trial: its attempts, and who took it.

import { getText } from "../api.js";
import { el, fill, text } from "../dom.js";
import { eventItem } from "../happened.js";
import { hasEnded } from "./changes.js";

const EVERY_MS = 2000;
const MOST = 200_000; // characters that are shown: a browser gets slow with more

export class Log {
  constructor(store) {
    Object.assign(this, { store, run: "last", timer: null });
    this.pre = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "What the run has printed", "aria-live": "off" });
    this.status = el("p", { class: "note", role: "status" });
    const choice = (run, label) => el("button", { type: "button", "aria-pressed": String(run === this.run), data: { run }, on: { click: () => this.#choose(run) } }, label);
    this.choices = el("div", { class: "segments", role: "group", "aria-label": "Which run" }, choice("last", "The last run"), choice("before", "The run before it"));
    this.node = el("section", { id: "log", "aria-labelledby": "log-title" }, el("div", { class: "heading" }, el("h2", { id: "log-title" }, "Log"), this.choices), this.status, this.pre);
    store.on("study", () => this.#begin());
    store.on("trial", () => (this.#begin(), this.soon()));
  }

  /** Only own code prints; a train task has no log. */
  #begin() {
    const { study, trial } = this.store;
    if (!study || !trial) return;
    const kind = study.task?.kind;
    this.node.hidden = !trial.logs && (kind === "train" || !kind);
    this.choices.hidden = trial.logs < 2;
    if (!this.node.hidden && this.kind !== kind) this.load();
    this.kind = kind;
  }

  #choose(run) {
    this.run = run;
    this.shown = undefined;
    for (const one of this.choices.children) one.setAttribute("aria-pressed", String(one.dataset.run === run));
    this.load();
  }

  /** Asks again in a while: as long as the trial runs, and once after it. */
  soon() {
    if (this.node.hidden || this.timer || !this.kind || !this.store.trial || (hasEnded(this.store.trial) && this.isWhole)) return;
    this.timer = setTimeout(() => ((this.timer = null), this.load()), EVERY_MS);
  }

  async load() {
    const run = this.run;
    if (!this.store.trial.logs) {
      this.pre.hidden = true;
      text(this.status, "Nothing yet. A worker that runs your own code sends what it prints.");
      this.soon();
      return;
    }
    const ended = this.store.trial && hasEnded(this.store.trial);
    try {
      const log = await getText(`${this.store.path}/log?run=${run}`);
      if (run !== this.run) return;
      this.#show(log);
      this.isWhole = ended;
    } catch (problem) {
      fill(this.pre);
      this.pre.hidden = true;
      text(this.status, problem.detail);
    }
    if (this.store.trial?.state === "running") this.soon();
  }

  /** The end stays in view if it was; else what a person reads stays where it is. */
  #show(log) {
    if (log === this.shown) return;
    this.shown = log;
    this.pre.hidden = false;
    const isAtEnd = this.pre.scrollTop + this.pre.clientHeight >= this.pre.scrollHeight - 8;
    text(this.pre, log.slice(-MOST));
    text(this.status, log.length > MOST ? "Only the end is shown." : log === "" ? "The run has printed nothing." : "");
    if (isAtEnd) this.pre.scrollTop = this.pre.scrollHeight;
  }
}

export class Happened {
  constructor(store) {
    this.host = el("ol", { class: "events" });
    this.node = el("section", { id: "events", "aria-labelledby": "events-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "events-title" }, "What happened")), this.host);
    store.on("events", (events) => {
      const shown = events.map((one) => one.id).join();
      if (shown === this.shown) return;
      this.shown = shown;
      this.node.hidden = events.length === 0;
      fill(this.host, [...events].reverse().map((one) => eventItem(one, store.name, { trial: false })));
    });
  }
}
