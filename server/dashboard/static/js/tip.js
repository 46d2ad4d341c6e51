// The tooltip of pictures. What it says becomes text, never markup.

import { el, fill } from "./dom.js";
import { number } from "./format.js";

const MEANT = /^\{'trial': datum\.number/;

/**
 * The specification with cheap tooltips: a mark of a trial gives its row, and the page says what of it is told, for one
 * mark at a time. Without this Vega would make the text of ten thousand tooltips that nobody sees.
 */
export function lightened(spec) {
  if (Array.isArray(spec)) return spec.map(lightened);
  if (spec === null || typeof spec !== "object") return spec;
  return Object.fromEntries(Object.entries(spec).map(([name, one]) => [name, (name === "tooltip" && cheap(one)) || lightened(one)]));
}

function cheap(tooltip) {
  if (MEANT.test(tooltip?.value?.expr ?? "")) return { value: { expr: "datum" } };
  return MEANT.test(tooltip?.signal ?? "") ? { signal: "datum" } : null;
}

let node = null;

/** Vega's handler of tooltips. `told(row)`: what is said of a row, name by name. */
export function tip(told) {
  return (_handler, event, _item, value) => {
    if (value === null || value === undefined || value === "") return node?.remove();
    node ??= el("div", { class: "chart-tip" });
    const said = typeof value === "object" && value.number !== undefined && told ? told(value) : value;
    fill(node, typeof said === "object" && !Array.isArray(said) ? lines(said) : shown(said));
    document.body.append(node);
    place(event);
    return undefined;
  };
}

const lines = (said) => el("table", {}, el("tbody", {}, Object.entries(said).map(([name, one]) => el("tr", {}, el("th", {}, name), el("td", {}, shown(one))))));
const shown = (one) => (typeof one === "number" ? number(one, 5) : typeof one === "object" ? JSON.stringify(one) : String(one));

function place(event) {
  const { width, height } = node.getBoundingClientRect();
  node.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  node.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
}

/** What is told of a trial: its number, state and score, and its parameters by their names. */
export function toldOf(rows) {
  return (row) => {
    const known = rows.byNumber.get(row.number) ?? row;
    const said = { trial: row.number, state: known.invalid ? `${known.state}, invalid` : known.state };
    if (row.epoch !== undefined) Object.assign(said, { epoch: row.epoch, value: row.value });
    else said[rows.objective || "score"] = known.score ?? (known.so_far === null || known.so_far === undefined ? "–" : `${number(known.so_far)} so far`);
    for (const { field, name } of rows.parameters.slice(0, 12)) if (known[field] !== undefined) said[name] = known[field];
    return said;
  };
}
