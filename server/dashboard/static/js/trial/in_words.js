// What pictures of a trial show, in words, for those that cannot see them.

import { integer, percent } from "../format.js";

const NAMES = new Map([["known", "known error"], ["train", "training"], ["train_dev", "train-dev"]]);

/** An error by its part of the data. */
export const nameOf = (part) => NAMES.get(part) ?? part;

/** The gaps of a diagnosis. */
export function gapsInWords({ gaps, widest }) {
  const mark = ({ name, clear }) => (name === widest ? ", the widest" : clear ? "" : ", not clear");
  return gaps.map((gap) => `${gap.name}, ${gap.between.map(nameOf).join(" to ")}: ${percent(gap.size)} ± ${percent(2 * gap.uncertainty)}${mark(gap)}.`).join(" ");
}

/** The most frequent mistakes of a confusion matrix. */
export function cellsInWords({ class_names: names, confusion }) {
  const cells = confusion.flatMap((row, i) => row.map((n, j) => ({ i, j, n }))).filter(({ i, j, n }) => i !== j && n);
  const most = cells.sort((a, b) => b.n - a.n).slice(0, 5).map(({ i, j, n }) => `${names[i]} taken for ${names[j]}: ${integer(n)}`);
  return most.length ? `Labels down, predictions across. Most often ${most.join(", ")}.` : "Labels down, predictions across. No mistakes.";
}

/** The parameters that were changed, in the order of their first change that has counted. */
export const changedNames = (interventions) => [...new Set(interventions.filter((one) => one.epoch !== null).flatMap((one) => Object.keys(one.change ?? {})))];

/** The values of a parameter, from its rows in the picture `knobs`. */
export function knobInWords(name, rows) {
  const steps = rows.filter((row) => row.kind !== "end").map((row) => `${row.value} from epoch ${Number(row.epoch.toFixed(2))}${row.counts ? "" : " (undone)"}`);
  return `${name}: ${steps.join(", ")}.`;
}
