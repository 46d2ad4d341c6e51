// What a picture knows of all its rows at once, as signals. A specification says in `usermeta` which it needs; how they
// are computed for files is in sturgeon/plots/summaries.py.

import { narrowed } from "./dataset.js";
import { change, has } from "./views.js";

const ENORMOUS = 1e6; // so many times the least value (or 1), a value is a penalty
const NOTHING = [0, 0.25, 0.5, 0.75, 1];

/** The summaries of one specification: of its first dataset. */
export class Summaries {
  constructor(spec, named) {
    this.named = named; // the fields that the specification uses
    this.of = spec.data?.name ?? spec.data?.[0]?.name;
    this.wanted = Object.entries(spec.usermeta?.summaries ?? {});
    this.known = {};
    this.computed = new Set(); // the names of all signals that follow from data, which a person has no part in
  }

  /** Puts them into a compiled specification. */
  fill(compiled, sets) {
    const now = this.#changed(sets);
    for (const signal of compiled.signals ?? []) {
      if (signal.name in this.known) signal.value = this.known[signal.name];
      if (signal.update || signal.name in this.known) this.computed.add(signal.name);
    }
    const steps = compiled.data?.find((one) => one.name === "steps");
    if (steps && now.steps) steps.values = this.#rows(sets, now.steps);
  }

  /** Gives the view those that have changed with the rows. */
  change(view, sets) {
    const now = this.#changed(sets);
    for (const [name, value] of Object.entries(now)) view.signal(name, value);
    if (now.steps && has(view, "steps")) change(view, "steps", () => true, this.#rows(sets, now.steps));
  }

  /** Copies of the rows with these numbers: Vega writes into them. */
  #rows(sets, numbers) {
    return numbers.flatMap((number) => sets[this.of].byNumber.get(number) ?? []).map((row) => narrowed(row, this.named));
  }

  #changed(sets) {
    if (!sets[this.of] || !this.wanted.length) return {};
    const counted = sets[this.of].all().filter((row) => !row.invalid);
    const all = this.wanted.map(([name, one]) => [name, KINDS[one.kind](counted, one)]);
    const now = Object.fromEntries(all.filter(([name, value]) => String(this.known[name]) !== String(value)));
    Object.assign(this.known, now);
    return now;
  }
}

const KINDS = {
  /** Least, quartiles and greatest of the first of the fields that has a value; penalties do not count. */
  five(rows, { fields, over }) {
    const found = new Float64Array(rows.length);
    let [many, least] = [0, Infinity];
    for (const row of rows) {
      const value = first(row, fields);
      if (!Number.isFinite(value) || (over !== null && value <= over)) continue;
      found[many++] = value;
      least = Math.min(least, Math.abs(value));
    }
    const bound = ENORMOUS * Math.max(1, many ? least : 0);
    const kept = found.subarray(0, many).filter((value) => Math.abs(value) < bound).sort();
    return kept.length ? [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(kept, share)) : NOTHING;
  },

  /** The numbers of the complete trials that were better than all before them. */
  steps(rows, { less }) {
    const sign = less ? 1 : -1;
    const complete = rows.filter((row) => row.state === "complete" && Number.isFinite(row.score));
    if (complete.some((row, i) => i && row.number < complete[i - 1].number)) complete.sort((a, b) => a.number - b.number);
    let best = Infinity;
    return complete.filter((row) => sign * row.score < best && ((best = sign * row.score), true)).map((row) => row.number);
  },

  /** The least and the greatest value of a field, and of `start`. */
  span(rows, { field, start, over, under }) {
    let [low, high] = [Math.min(...start), Math.max(...start)];
    for (const row of rows) {
      const value = row[field];
      if (!Number.isFinite(value) || row.state === "queued" || (over !== null && value <= over) || (under !== null && value >= under)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low > high ? [0, 1] : [low, high];
  },
};

function first(row, fields) {
  for (const field of fields) if (row[field] !== null && row[field] !== undefined) return row[field];
  return undefined;
}

function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const [below, rest] = [Math.floor(place), place % 1];
  return rest ? sorted[below] + rest * (sorted[below + 1] - sorted[below]) : sorted[below];
}
