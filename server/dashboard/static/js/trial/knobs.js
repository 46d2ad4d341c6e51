// A panda's knobs: live parameters with their bounds, changed with a reason and a guard. What a person types stays.

import { send } from "../api.js";
import { el, fill } from "../dom.js";
import { field, toast, tried } from "../forms.js";
import { number, value as shownValue } from "../format.js";
import { parseValue } from "./assignments.js";
import { hasEnded, isStream } from "./changes.js";

const FIRST = ["learning_rate", "epochs", "l2", "keep_prob", "beta1", "schedule"];
const OF_STREAMS = ["learning_rate", "portion_epochs", "window", "replay_share", "clip_inputs", "l2"];
const FACTORS = new Set(["learning_rate", "l2", "weight_decay", "decay"]);

let fields = null;

/** The fields that may change while a model trains, by name: what they mean, their bounds and their defaults. */
export function liveFields() {
  fields ??= fetch("/fields/live.json").then((answer) => answer.json());
  return fields;
}

export class Knobs {
  constructor(store) {
    Object.assign(this, { store, inputs: new Map() });
    this.grid = el("div", { class: "knobs" });
    this.more = field({ label: "Another parameter", name: "more", options: [["", "Choose one …"]] });
    this.more.input.addEventListener("change", () => this.#another());
    this.reason = field({ label: "Reason", name: "reason", maxlength: 1000, note: "It is kept in the timeline." });
    this.guard = this.#guard();
    this.button = el("button", { class: "primary", "aria-disabled": "true" }, "Change");
    this.status = el("p", { class: "note", role: "status" });
    this.form = el("form", { class: "steering", novalidate: true, on: { submit: (event) => this.#submit(event), input: () => this.#mark() } },
      this.grid, this.more, this.reason, this.guard, el("div", { class: "actions" }, this.button, el("button", { type: "reset", class: "quiet" }, "Reset"), this.status));
    this.form.addEventListener("reset", (event) => (event.preventDefault(), this.#reset()));
    this.node = el("section", { id: "knobs", "aria-labelledby": "knobs-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "knobs-title" }, "Knobs")), this.form);
    store.on("trial", () => this.draw());
    store.on("study", () => this.draw());
    store.on("curves", () => this.#metrics());
  }

  async draw() {
    const { trial, study } = this.store;
    if (!trial || !study) return;
    this.node.hidden = study.task?.kind !== "train" || hasEnded(trial);
    if (this.node.hidden) return;
    this.known ??= await liveFields();
    if (!this.inputs.size) this.#begin();
    for (const [name, knob] of this.inputs) this.#show(name, knob);
    this.#pending();
    this.#mark();
  }

  /** The value in force: what was changed, else what the trial, the study or the trainer has. */
  current(name) {
    const { trial, study } = this.store;
    return [trial.desired?.params?.[name], trial.params[name], study.task.fixed?.[name], name === "epochs" ? study.task.epochs : undefined, this.known[name].default].find((one) => one !== undefined);
  }

  #begin() {
    const own = Object.keys(this.store.trial.params).filter((name) => name in this.known);
    const wanted = new Set([...(isStream(this.store.study) ? OF_STREAMS : FIRST), ...own, ...Object.keys(this.store.trial.desired?.params ?? {})]);
    for (const name of wanted) if (name in this.known) this.#add(name);
    this.#choices();
  }

  #choices() {
    const left = Object.keys(this.known).filter((name) => !this.inputs.has(name));
    fill(this.more.input, [["", "Choose one …"], ...left.map((name) => [name, name])].map(([value, label]) => el("option", { value }, label)));
  }

  #another() {
    const name = this.more.input.value;
    if (!name) return;
    this.#add(name);
    this.#choices();
    this.inputs.get(name).input.focus();
  }

  #add(name) {
    const known = this.known[name];
    const options = known.values?.map((one) => [String(one), String(one)]);
    const node = field({ label: name, name, pointer: `/params/${name}`, note: known.range, options, inputmode: options ? null : "decimal", spellcheck: "false" });
    node.querySelector("label").title = known.description;
    const knob = { node, input: node.input, shown: undefined };
    if (FACTORS.has(name)) node.input.after(el("div", { class: "factors" }, [["÷2", 0.5], ["×2", 2]].map(([label, by]) => this.#factor(knob, name, label, by))));
    this.inputs.set(name, knob);
    this.grid.append(node);
    this.#show(name, knob);
  }

  #factor(knob, name, label, by) {
    const turn = () => {
      const now = Number(knob.input.value);
      if (!Number.isFinite(now) || now === 0) return;
      knob.input.value = String(Number((now * by).toPrecision(6)));
      this.#mark();
    };
    return el("button", { type: "button", "aria-label": `${name} ${by < 1 ? "halved" : "doubled"}`, on: { click: turn } }, label);
  }

  /** Shows the value in force, unless a person has written another one. */
  #show(name, knob) {
    const text = asText(this.current(name));
    const isOwn = knob.shown !== undefined && knob.input.value !== knob.shown;
    knob.shown = text;
    if (!isOwn) knob.input.value = text;
  }

  #reset() {
    for (const knob of this.inputs.values()) knob.input.value = knob.shown;
    this.reason.input.value = "";
    this.#mark();
  }

  /** What a person has changed: name -> value. */
  #changed() {
    const params = {};
    for (const [name, { input, shown }] of this.inputs) if (input.value.trim() !== shown) params[name] = parseValue(input.value);
    return params;
  }

  #mark() {
    const params = this.#changed();
    for (const [name, { node, input, shown }] of this.inputs) {
      node.classList.toggle("changed", name in params);
      input.title = name in params ? `In force: ${shown}` : "";
    }
    const names = Object.keys(params);
    this.button.setAttribute("aria-disabled", String(names.length === 0)); // not disabled, which would take the focus from it
    this.button.textContent = names.length > 1 ? `Change ${names.length} parameters` : names.length ? `Change ${names[0]}` : "Change";
  }

  #pending() {
    const { desired, applied_version: applied } = this.store.trial;
    const isPending = desired && desired.version > (applied ?? 0);
    const sentence = isPending ? `Version ${desired.version} is requested; the run has not applied it yet.` : desired?.version ? `Version ${desired.version} is in force.` : "";
    if (this.status.textContent !== sentence) this.status.textContent = sentence;
  }

  #guard() {
    const metric = field({ label: "Metric", name: "guard_metric", pointer: "/guard/metric", options: [] });
    const worse = field({ label: "gets worse by", name: "worse_by", pointer: "/guard/worse_by", value: "0.02", inputmode: "decimal" });
    const within = field({ label: "within epochs", name: "within", pointer: "/guard/within_epochs", value: "3", inputmode: "decimal" });
    const on = field({ label: "Go back if it does harm", name: "guarded", type: "checkbox", pointer: "/guard" });
    const parts = el("div", { class: "fields", hidden: true }, metric, worse, within);
    on.input.addEventListener("change", () => (parts.hidden = !on.input.checked));
    Object.assign(this, { metric: metric.input, worse: worse.input, within: within.input, guarded: on.input });
    return el("div", { class: "guard" }, on, parts);
  }

  #metrics() {
    const names = Object.keys(this.store.curves?.metrics ?? {}).filter((name) => /error|loss/.test(name));
    const first = this.store.study?.metric;
    const wanted = [...new Set([first, ...names].filter(Boolean))];
    if (wanted.join() === this.shownMetrics) return;
    this.shownMetrics = wanted.join();
    const chosen = this.metric.value;
    fill(this.metric, wanted.map((name) => el("option", { value: name, selected: name === chosen }, name)));
  }

  async #submit(event) {
    event.preventDefault();
    const params = this.#changed();
    if (!Object.keys(params).length) return;
    const guard = this.guarded.checked ? { metric: this.metric.value, worse_by: Number(this.worse.value), within_epochs: Number(this.within.value) } : null;
    const headers = { "If-Match": this.store.tag };
    const { ok } = await tried(this.form, this.button, async () => {
      const steered = await send("PATCH", `${this.store.path}/params`, { params, reason: this.reason.input.value.trim(), guard }, { headers });
      for (const name of Object.keys(params)) this.inputs.get(name).shown = this.inputs.get(name).input.value;
      Object.assign(this.store.trial, { desired: steered.desired });
      this.store.tag = `"${steered.desired.version}"`;
      this.reason.input.value = "";
      toast(`Requested: ${Object.entries(params).map(([name, one]) => `${name} ${shownValue(one)}`).join(", ")}.`);
    });
    if (!ok) this.store.again("trial");
    else this.store.changed();
    this.#mark();
  }
}

/** A value as people type it. */
export function asText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Math.abs(value) >= 1e-4 || value === 0 ? String(value) : value.toExponential().replace("e+", "e");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Bounds as a sentence. */
export const bounds = ({ low, high }) => `${number(low)} to ${number(high)}`;
