// Editing a search space: a line for each parameter, whose mistakes stand in it.

import { el, fill } from "./dom.js";
import { field } from "./forms.js";

const KINDS = [["float", "Float"], ["int", "Integer"], ["choice", "Choice"], ["fixed", "Fixed"], ["other", "Other, as JSON"]];
const SCALES = [["linear", "linear"], ["log", "log"], ["one_minus_log", "1 − log, as of beta"], ["logit", "logit"]];
const PLAIN = { float: ["type", "low", "high", "scale"], int: ["type", "low", "high", "scale", "step"], choice: ["type", "values", "ordered"], fixed: ["type", "value"] };

/** A value as a person writes it: a number, true, null or JSON as such, anything else as text. */
export function written(text) {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  if (/^(true|false|null)$|^["[{]/.test(trimmed)) {
    try {
      return JSON.parse(trimmed);
    } catch {
      return trimmed;
    }
  }
  return trimmed;
}

const asText = (value) => (value === undefined || value === null ? (value === null ? "null" : "") : typeof value === "string" ? value : JSON.stringify(value));

/** Which form shows a parameter without losing a part of it. */
export function kindOf(parameter) {
  const known = PLAIN[parameter.type];
  return known && Object.keys(parameter).every((name) => known.includes(name)) ? parameter.type : "other";
}

/** `new SpaceEditor({space, onChange})`; `.node`, `.space()`. With `added` a new parameter asks what earlier trials count as. */
export class SpaceEditor {
  constructor({ space = {}, onChange = () => {}, added = false }) {
    Object.assign(this, { onChange, lines: [], before: added ? new Set(Object.keys(space)) : null });
    this.list = el("div", { class: "parameters" });
    const add = el("button", { type: "button", on: { click: () => this.#add("", { type: "float", low: "", high: "", scale: "linear" }, true) } }, "Add a parameter");
    this.node = el("fieldset", { data: { pointer: "/space" } }, el("legend", {}, "Space"), this.list, add);
    for (const [name, parameter] of Object.entries(space)) this.#add(name, parameter);
  }

  #add(name, parameter, focus = false) {
    const line = new Line(name, parameter, this.before, () => this.onChange());
    line.remove.addEventListener("click", () => {
      this.lines.splice(this.lines.indexOf(line), 1);
      line.node.remove();
      this.onChange();
    });
    this.lines.push(line);
    this.list.append(line.node);
    if (focus) line.name.input.focus();
  }

  /** Name -> parameter, as the API takes it. Of a name that stands twice the last counts. */
  space() {
    return Object.fromEntries(this.lines.filter((line) => line.name.input.value.trim()).map((line) => [line.name.input.value.trim(), line.parameter()]));
  }

  /** Name -> value that earlier trials count as having, of parameters that are new. */
  added() {
    const given = this.lines.filter((line) => line.earlier && line.name.input.value.trim() && line.earlier.input.value.trim());
    return Object.fromEntries(given.map((line) => [line.name.input.value.trim(), written(line.earlier.input.value)]));
  }
}

class Line {
  constructor(name, parameter, before, changed) {
    this.given = parameter;
    this.isNew = before !== null && !before.has(name);
    this.name = field({ label: "Name", name: "name", value: name });
    this.kind = field({ label: "Kind", name: "type", options: KINDS, value: kindOf(parameter) });
    this.rest = el("div", { class: "rest" });
    this.remove = el("button", { type: "button", class: "quiet remove", "aria-label": `Remove ${name || "the parameter"}` }, "×");
    this.node = el("div", { class: "parameter" }, this.name, this.kind, this.rest, this.remove);
    this.node.addEventListener("input", () => (this.#point(), changed()));
    this.kind.input.addEventListener("change", () => (this.#fields(), this.#point(), changed()));
    this.#fields();
    this.#point();
  }

  #fields() {
    const { given } = this;
    const kind = this.kind.input.value;
    const text = (label, name, more = {}) => field({ label, name, value: asText(given[name]), ...more });
    const scale = () => field({ label: "Scale", name: "scale", options: SCALES, value: given.scale ?? "linear" });
    const numbers = () => [text("Low", "low", { inputmode: "decimal" }), text("High", "high", { inputmode: "decimal" }), scale()];
    const fields = {
      float: numbers,
      int: () => [...numbers(), text("Step", "step", { inputmode: "decimal" })],
      choice: () => [field({ label: "Values, with commas", name: "values", value: (given.values ?? []).map(asText).join(", ") }), field({ label: "in order", name: "ordered", type: "checkbox", value: given.ordered ?? false })],
      fixed: () => [text("Value", "value")],
      other: () => [field({ label: "JSON", name: "json", value: JSON.stringify(given) })],
    }[kind]();
    this.fields = Object.fromEntries(fields.map((one) => [one.input.name, one]));
    this.earlier = this.isNew ? field({ label: "Earlier trials count as", name: "earlier" }) : null;
    fill(this.rest, fields, this.earlier);
  }

  /** Mistakes are found by the parameter's name, which may have changed. */
  #point() {
    const pointer = `/space/${this.name.input.value.trim().replaceAll("~", "~0").replaceAll("/", "~1")}`;
    this.node.dataset.pointer = pointer;
    delete this.name.dataset.pointer;
    this.kind.dataset.pointer = `${pointer}/type`;
    for (const [name, one] of Object.entries(this.fields)) one.dataset.pointer = name === "json" ? pointer : `${pointer}/${name}`;
    if (this.earlier) this.earlier.dataset.pointer = pointer.replace("/space/", "/added/");
  }

  parameter() {
    const kind = this.kind.input.value;
    const value = (name) => this.fields[name].input.value;
    if (kind === "other") return written(value("json"));
    if (kind === "fixed") return { type: kind, value: written(value("value")) };
    if (kind === "choice") {
      const values = value("values").split(",").map(written).filter((one) => one !== "");
      return { type: kind, values, ...(this.fields.ordered.input.checked ? { ordered: true } : {}) };
    }
    const parameter = { type: kind, low: written(value("low")), high: written(value("high")) };
    if (value("scale") !== "linear") parameter.scale = value("scale");
    if (kind === "int" && value("step").trim()) parameter.step = written(value("step"));
    return parameter;
  }
}
