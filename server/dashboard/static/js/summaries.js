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
    this.wanted = Object.entries(spec.usermeta?.summaries ?? {}).map(([name, one]) => [name, new KINDS[one.kind](one)]);
    this.known = {};
    this.computed = new Set(); // the names of all signals that follow from data, which a person has no part in
  }

  /** Puts them into a compiled specification. */
  fill(compiled, sets) {
    const rows = sets[this.of]?.all().filter(counts);
    if (rows) for (const [, one] of this.wanted) one.begin(rows);
    const now = rows ? this.#changed() : {};
    for (const signal of compiled.signals ?? []) {
      if (signal.name in this.known) signal.value = this.known[signal.name];
      if (signal.update || signal.name in this.known) this.computed.add(signal.name);
    }
    const steps = compiled.data?.find((one) => one.name === "steps");
    if (steps && now.steps) steps.values = this.#rows(sets, now.steps);
  }

  /** Gives the view those that have changed with these rows. */
  change(view, sets, gone, added) {
    const now = this.take(sets[this.of], gone, added);
    for (const [name, value] of Object.entries(now)) view.signal(name, value);
    if (now.steps && has(view, "steps")) change(view, "steps", () => true, this.#rows(sets, now.steps));
  }

  /** Takes rows that are gone from the set, and others that were added; what is another value now, by name. */
  take(set, gone, added) {
    const [less, more] = [gone.filter(counts), added.filter(counts)];
    for (const [, one] of this.wanted) if (!one.take(less, more)) one.begin(set.all().filter(counts));
    return this.#changed();
  }

  /** Copies of the rows with these numbers: Vega writes into them. */
  #rows(sets, numbers) {
    return numbers.flatMap((number) => sets[this.of].byNumber.get(number) ?? []).map((row) => narrowed(row, this.named));
  }

  #changed() {
    const all = this.wanted.map(([name, one]) => [name, one.value()]);
    const now = Object.fromEntries(all.filter(([name, value]) => String(this.known[name]) !== String(value)));
    Object.assign(this.known, now);
    return now;
  }
}

const counts = (row) => !row.invalid;

/** Least, quartiles and greatest of the first of the fields that has a value; penalties do not count. */
class Five {
  constructor({ fields, over }) {
    Object.assign(this, { fields, over });
  }

  begin(rows) {
    const found = new Float64Array(rows.length);
    let many = 0;
    for (const row of rows) {
      const value = this.#of(row);
      if (value !== null) found[many++] = value;
    }
    this.sorted = found.subarray(0, many).slice().sort();
    this.many = many;
  }

  take(gone, added) {
    const [less, more] = [gone, added].map((rows) => rows.map((row) => this.#of(row)).filter((value) => value !== null));
    for (const value of less) this.#cut(value);
    for (const value of more) this.#put(value);
    return true;
  }

  value() {
    const [sorted, many] = [this.sorted.subarray(0, this.many), this.many];
    const zero = placeOf(sorted, 0);
    const least = Math.min(zero ? -sorted[zero - 1] : Infinity, zero < many ? sorted[zero] : Infinity);
    const bound = ENORMOUS * Math.max(1, many ? least : 0);
    const kept = sorted.subarray(placeOf(sorted, -bound, true), placeOf(sorted, bound));
    return kept.length ? [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(kept, share)) : NOTHING;
  }

  #of(row) {
    const value = first(row, this.fields);
    return Number.isFinite(value) && (this.over === null || value > this.over) ? value : null;
  }

  #cut(value) {
    const at = placeOf(this.sorted.subarray(0, this.many), value);
    this.sorted.copyWithin(at, at + 1, this.many--);
  }

  #put(value) {
    if (this.many === this.sorted.length) {
      const longer = new Float64Array(2 * this.many + 64);
      longer.set(this.sorted);
      this.sorted = longer;
    }
    const at = placeOf(this.sorted.subarray(0, this.many), value);
    this.sorted.copyWithin(at + 1, at, this.many++);
    this.sorted[at] = value;
  }
}

/** Where a value stands, or would, among sorted ones: before those of its size, or `after` them. */
function placeOf(sorted, value, after = false) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value || (after && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The numbers of the complete trials that were better than all before them. */
class Steps {
  constructor({ less }) {
    this.sign = less ? 1 : -1;
  }

  begin(rows) {
    this.found = [];
    const complete = rows.filter(isScored);
    if (complete.some((row, i) => i && row.number < complete[i - 1].number)) complete.sort((a, b) => a.number - b.number);
    let best = Infinity;
    for (const row of complete) if (this.sign * row.score < best) this.found.push({ number: row.number, score: (best = this.sign * row.score) });
  }

  /** False where a step is gone: others may have been hidden behind it. */
  take(gone, added) {
    if (gone.some((row) => isScored(row) && this.found.some((one) => one.number === row.number))) return false;
    for (const row of added.filter(isScored)) this.#put(row.number, this.sign * row.score);
    return true;
  }

  #put(number, score) {
    const before = this.found.filter((one) => one.number < number);
    if (before.length && before.at(-1).score <= score) return;
    const after = this.found.slice(before.length).filter((one) => one.score < score);
    this.found = [...before, { number, score }, ...after];
  }

  value() {
    return this.found.map((one) => one.number);
  }
}

const isScored = (row) => row.state === "complete" && Number.isFinite(row.score);

/** The least and the greatest value of a field, and of `start`. */
class Span {
  constructor({ field, start, over, under }) {
    Object.assign(this, { field, start, over, under });
  }

  begin(rows) {
    [this.low, this.high] = [Math.min(...this.start), Math.max(...this.start)];
    this.#widen(rows);
  }

  /** False where an end may be gone. */
  take(gone, added) {
    const [low, high] = [this.low, this.high];
    const ends = gone.map((row) => this.#of(row)).filter((value) => value === low || value === high);
    this.#widen(added);
    const still = new Set(added.map((row) => this.#of(row)));
    return ends.every((value) => still.has(value) || ((value !== low || this.low < low) && (value !== high || this.high > high)));
  }

  #widen(rows) {
    for (const row of rows) {
      const value = this.#of(row);
      if (value === null) continue;
      if (value < this.low) this.low = value;
      if (value > this.high) this.high = value;
    }
  }

  #of(row) {
    const value = row[this.field];
    const isOut = !Number.isFinite(value) || row.state === "queued" || (this.over !== null && value <= this.over) || (this.under !== null && value >= this.under);
    return isOut ? null : value;
  }

  value() {
    return this.low > this.high ? [0, 1] : [this.low, this.high];
  }
}

const KINDS = { five: Five, steps: Steps, span: Span };

function first(row, fields) {
  for (const field of fields) if (row[field] !== null && row[field] !== undefined) return row[field];
  return undefined;
}

function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const [below, rest] = [Math.floor(place), place % 1];
  return rest ? sorted[below] + rest * (sorted[below + 1] - sorted[below]) : sorted[below];
}
