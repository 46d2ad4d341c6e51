// What is known of one trial, part by part; each part is asked for again only when something has changed it.

import { all, get, getTagged } from "../api.js";
import { live } from "../live.js";
import { PARTS, stale, staleByEvents, staleByRow } from "./changes.js";

const WAIT_MS = { trial: 250, curves: 700, checkpoints: 1500, diagnosis: 4000, errors: 4000 };

export class TrialStore {
  constructor(study, number) {
    Object.assign(this, { name: study, number, listeners: {}, asked: {}, at: {}, study: null, trial: null });
    this.studyPath = `/studies/${encodeURIComponent(study)}`;
    this.path = `${this.studyPath}/trials/${number}`;
    this.sources = {
      study: () => get(this.studyPath),
      trial: () => this.#trialAndTag(),
      timeline: () => get(`${this.path}/timeline`),
      proposals: async () => (await get(`${this.path}/proposals`)).items,
      checkpoints: async () => (await get(`${this.path}/checkpoints`)).items,
      curves: () => get(`${this.path}/curves?points=4`), // ends and names: the pictures have their rows from the server
      lineage: () => get(`${this.path}/lineage`),
      diagnosis: async () => (this.trial?.findings.diagnosis ? get(`${this.path}/diagnosis`) : null),
      errors: async () => (this.trial?.findings.errors ? get(`${this.path}/errors`) : null),
      events: () => all(`${this.studyPath}/events?number=${number}`, 2000),
    };
  }

  /** Calls `f(value)` with each new value of a part, and now if there is one. */
  on(part, f) {
    (this.listeners[part] ??= []).push(f);
    if (this[part] !== undefined && this[part] !== null) f(this[part]);
  }

  /** Asks for the study and the trial, and then for all else. Raises: Problem, Away. */
  async begin() {
    this.stream = live(`${this.studyPath}/stream`, {
      rows: (data) => this.#rows(data.rows ?? data),
      events: (data) => this.#events(data.items ?? data),
      study: (study) => this.#set("study", study),
      caughtUp: () => this.again("study", "trial", ...PARTS),
    });
    const [study, trial] = await Promise.all([this.sources.study(), this.sources.trial()]);
    this.#set("study", study);
    this.#set("trial", trial);
    this.again(...PARTS);
  }

  close() {
    this.stream?.close();
  }

  /** Takes an answer that holds the trial's new state, or asks for it: after something was done to it. */
  changed() {
    this.again("trial", "timeline", "proposals");
  }

  /** Asks for parts again: soon, and each only once at a time. */
  again(...parts) {
    for (const part of parts) {
      if (this.asked[part]) continue;
      const since = performance.now() - (this.at[part] ?? -1e9);
      this.asked[part] = setTimeout(() => this.#ask(part), Math.max(0, (WAIT_MS[part] ?? 400) - since));
    }
  }

  async #ask(part) {
    this.at[part] = performance.now();
    this.asked[part] = null;
    try {
      const value = await this.sources[part]();
      if (part === "trial") this.#compare(value);
      this.#set(part, value);
    } catch (problem) {
      for (const f of this.listeners.problem ?? []) f(part, problem);
    }
  }

  /** The tag says which state of the trial a change is meant for; of one that nobody has steered, the server knows it. */
  async #trialAndTag() {
    const [trial, tag] = await getTagged(this.path);
    this.tag = tag;
    return trial;
  }

  #compare(trial) {
    const parts = stale(this.trial, trial, this.row);
    this.trial = trial;
    this.again(...parts);
  }

  #set(part, value) {
    this[part] = value;
    for (const f of this.listeners[part] ?? []) f(value);
  }

  #rows(rows) {
    const row = rows.find((one) => one.number === this.number);
    if (row) this.again("trial", ...staleByRow(this.row, row, this.study));
    this.row = row ?? this.row;
    const family = new Set((this.lineage?.items ?? []).map((one) => one.number));
    if (rows.some((row) => row.number !== this.number && (family.has(row.number) || row.parent === this.number))) this.again("lineage");
  }

  #events(events) {
    this.again(...staleByEvents(events.filter((one) => one.number === this.number)));
  }
}
