// What a trial was made of: its parameters and where they came from, its data and its code.

import { part } from "../api.js";
import { el, fill } from "../dom.js";
import { bytes, count, integer, number, value } from "../format.js";

const block = (id, title, ...content) => el("section", { id, "aria-labelledby": `${id}-title` }, el("div", { class: "heading" }, el("h2", { id: `${id}-title` }, title)), content);

export class Parameters {
  constructor(store) {
    this.store = store;
    this.params = el("table", { class: "pairs" });
    this.drawn = el("p", { class: "note" });
    this.node = block("params", "Parameters", this.params, this.drawn);
    store.on("trial", () => this.draw());
    store.on("study", () => this.draw());
  }

  draw() {
    const { trial, study } = this.store;
    if (!trial || !study) return;
    const shown = JSON.stringify([trial.params, trial.drawn, study.task]);
    if (shown === this.shown) return;
    this.shown = shown;
    const fixed = Object.entries(study.task?.fixed ?? {}).filter(([name]) => !Object.hasOwn(trial.params, name));
    const own = Object.entries(trial.params);
    fill(this.params, el("caption", { class: "sr" }, "Parameters"), el("tbody", {}, own.map(([name, one]) => pair(name, value(one))), fixed.map(([name, one]) => pair(name, value(one), "fixed by the study")), own.length + fixed.length === 0 && pair("none", "all by default")));
    fill(this.drawn, origin(trial));
  }
}

export class Data {
  constructor(store) {
    this.store = store;
    this.data = el("div");
    this.versions = el("table", { class: "pairs" });
    this.node = block("data", "Data and code", this.data, this.versions);
    store.on("trial", () => this.draw());
    store.on("study", () => this.draw());
  }

  draw() {
    const { trial, study } = this.store;
    if (!trial || !study) return;
    const shown = JSON.stringify([trial.drawn, trial.dataset, trial.code_version, trial.data_version, study.task, study.code_version]);
    if (shown === this.shown) return;
    this.shown = shown;
    fill(this.data, dataset(trial, study));
    fill(this.versions, pairs(versions(trial, study)));
  }
}

const pair = (name, shown, note = null) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, shown, note && el("span", { class: "note" }, ` ${note}`)));
const pairs = (rows) => el("tbody", {}, rows.filter(Boolean).map(([name, shown]) => pair(name, shown)));

/** Where the parameters came from, in a sentence. */
export function origin({ drawn, parent }) {
  const sentences = [];
  if (parent) sentences.push(`Goes on from trial ${parent.number}.`);
  else if (drawn.imported) sentences.push(`Came from another tool, where it is ${drawn.imported}.`);
  else if (!drawn.sampler) sentences.push("A person gave the parameters.");
  else if (drawn.fallback) sentences.push(`Drawn uniformly instead of by ${drawn.sampler}: ${drawn.fallback}.`);
  else if (drawn.round === 0) sentences.push(`Drawn by ${drawn.sampler} in the even coverage.`);
  else if (drawn.elite !== null && drawn.elite !== undefined) sentences.push(`Drawn by ${drawn.sampler} in round ${drawn.round}, in a box around trial ${drawn.elite}${drawn.model ? `, chosen by the model ${drawn.model}` : ""}.`);
  else sentences.push(`Drawn by ${drawn.sampler}${drawn.round ? ` in round ${drawn.round}` : ""}${drawn.model ? `, chosen by the model ${drawn.model}` : ""}.`);
  return sentences.join(" ");
}

function dataset(trial, study) {
  const found = trial.dataset;
  if (!found) return study.task?.dataset ? el("table", { class: "pairs" }, pairs([["data set", study.task.dataset]])) : el("p", { class: "note" }, "No data set is known of it.");
  const parts = Object.entries(found.parts).filter(([, n]) => n).map(([name, n]) => `${name} ${integer(n)}`).join(", ");
  const classes = found.targets.map((name, i) => (found.examples[i] === undefined ? name : `${name} (${integer(found.examples[i])})`)).join(", ");
  const list = (items) => items.length > 0 && el("ul", {}, items.map((one) => el("li", {}, one)));
  return [
    el("table", { class: "pairs" }, pairs([
      ["data set", found.dataset], ["examples", found.rows === null ? "a stream" : integer(found.rows)], ["inputs", found.inputs === null ? integer(found.columns) : `${integer(found.inputs)} of ${count(found.columns, "column")}`],
      parts && ["parts", parts], [found.kind, `${integer(found.target_count)}: ${classes}`], found.missing > 0 && ["labels missing", integer(found.missing)],
      found.dropped.length > 0 && ["not read", found.dropped.join(", ")], found.constant_count > 0 && ["constant", `${integer(found.constant_count)}: ${found.constant.slice(0, 8).join(", ")}${found.constant_count > 8 ? " …" : ""}`],
    ])), list(found.notes), found.encoded.length > 0 && encoded(found.encoded),
  ];
}

function encoded(columns) {
  const row = (one) => el("tr", {}, el("th", { scope: "row" }, one.column), el("td", {}, one.kind), el("td", { class: "end" }, integer(one.inputs)), el("td", { class: "end" }, integer(one.missing)), el("td", {}, typeof one.fill === "number" ? number(one.fill) : one.fill));
  return el("details", {}, el("summary", {}, `Its ${count(columns.length, "column")}`), el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ["Column", "Kind", "Inputs", "Missing", "Filled with"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, columns.map(row))));
}

function versions(trial, study) {
  const code = trial.code_version ?? study.code_version;
  const data = trial.data_version;
  const isOther = trial.code_version && study.code_version && JSON.stringify(trial.code_version) !== JSON.stringify(study.code_version);
  return [
    code && ["code", [el("code", {}, code.commit.slice(0, 12)), code.dirty ? ` with changes (${code.diff ?? "unknown"})` : "", isOther ? " (not that of the study)" : ""]],
    data && ["data", [el("code", {}, data.sha256.slice(0, 12)), ` ${count(data.files, "file")}, ${bytes(data.size)}${data.partial ? ", read in part" : ""}`]],
    trial.drawn.numerics && ["numerics", trial.drawn.numerics],
    ["space", `revision ${trial.drawn.revision}`],
    ["API", el("a", { href: `/v1/studies/${part(trial.study)}/trials/${trial.number}` }, "this trial as JSON")],
  ];
}
