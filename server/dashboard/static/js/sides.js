// Things side by side: the rows in which they differ, and the key of the lines that stand for them.

import { svg } from "./dom.js";

const DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3]]; // as in sturgeon/plots/comparisons.py
const COLOURS = 6;
export const MOST = 24;

/** The colour (1 to 6) and the dash of the line at this place. */
export function lineOf(place) {
  return { colour: (place % COLOURS) + 1, dash: DASHES[(place + Math.floor(place / DASHES.length)) % DASHES.length] };
}

/** A short piece of the line at this place. */
export function key(place) {
  const { colour, dash } = lineOf(place);
  const line = svg("line", { x1: 0, y1: 5, x2: 28, y2: 5, "stroke-dasharray": dash[1] ? dash.join(" ") : null });
  return svg("svg", { viewBox: "0 0 28 10", width: 28, height: 10, class: `key series-${colour}`, "aria-hidden": "true" }, line);
}

/**
 * Objects as rows: `[{name, values, differs}]`, one for each name that any of them has, those that differ first.
 * A value that is not there is undefined.
 */
export function rowsOf(objects) {
  const names = [...new Set(objects.flatMap((one) => Object.keys(one)))];
  const rows = names.map((name) => {
    const values = objects.map((one) => one[name]);
    return { name, values, differs: values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0])) };
  });
  return [...rows.filter((row) => row.differs), ...rows.filter((row) => !row.differs)];
}

/** The places of the best of some numbers; none where fewer than two are there. */
export function bestOf(values, less = true) {
  const there = values.filter((value) => typeof value === "number");
  if (there.length < 2) return [];
  const best = less ? Math.min(...there) : Math.max(...there);
  return values.flatMap((value, place) => (value === best ? [place] : []));
}

/** The numbers in a text: "3, 7,12" -> [3, 7, 12], each once and in their order. */
export function numbersIn(text) {
  return [...new Set((text.match(/\d{1,9}/g) ?? []).map(Number))].slice(0, MOST);
}

/** The names of studies in a text, each once and in their order. */
export function namesIn(text) {
  return [...new Set(text.split(/[\s,]+/).filter((name) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)))].slice(0, MOST);
}

/** A specification of ours that needs no study, from the server. */
export async function specOf(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`The picture ${path} is not there.`);
  return answer.json();
}
