// The trials of a study as rows, by number: what pictures and tables are drawn from. It never grows beyond MOST.

export const MOST = 22_000;

/** `new Rows(await get("/studies/x/rows"))`; then `apply(rows)` for each increment. */
export class Rows {
  constructor({ rows = [], parameters = [], direction = "minimize", objective = "", total = rows.length }) {
    Object.assign(this, { parameters, direction, objective, total });
    this.byNumber = new Map(rows.map((row) => [row.number, row]));
    this.listeners = new Set();
    this.version = 0;
  }

  /** Calls `f(changed rows, removed rows)` after each change; gives the function that ends this. */
  subscribe(f) {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  /** Takes changed rows. One that is as it was changes nothing, so a row that comes twice does no harm. */
  apply(rows) {
    const [changed, removed] = [[], []];
    for (const row of rows) {
      const before = this.byNumber.get(row.number);
      if (before && same(before, row)) continue;
      if (before) removed.push(before);
      this.byNumber.set(row.number, row);
      changed.push(row);
    }
    if (!changed.length) return;
    this.total = Math.max(this.total, ...changed.map((row) => row.number + 1));
    removed.push(...this.#bounded());
    this.#tell(changed.filter((row) => this.byNumber.has(row.number)), removed);
  }

  /** Takes the place of everything: after an edit of the space, or when the server says so. */
  replace({ rows, parameters, direction, objective, total = rows.length }) {
    const removed = [...this.byNumber.values()];
    Object.assign(this, { parameters, direction, objective, total });
    this.byNumber = new Map(rows.map((row) => [row.number, row]));
    this.#tell(rows, removed);
  }

  #tell(changed, removed) {
    this.version += 1;
    this.sorted = null;
    for (const f of this.listeners) f(changed, removed);
  }

  /** Of too many rows the oldest are dropped that are neither among the best nor alive. */
  #bounded() {
    if (this.byNumber.size <= MOST) return [];
    const ended = this.all().filter((row) => row.finished_at);
    const best = new Set([...ended].sort(better(this.direction)).slice(0, 2000));
    const dropped = ended.filter((row) => !best.has(row)).slice(0, this.byNumber.size - MOST + 1000);
    for (const row of dropped) this.byNumber.delete(row.number);
    this.sorted = null;
    return dropped;
  }

  /** All rows by number. Do not change the array. */
  all() {
    this.sorted ??= [...this.byNumber.values()].sort((a, b) => a.number - b.number);
    return this.sorted;
  }

  /** The complete and valid row with the best score, or null. */
  best() {
    let found = null;
    const first = better(this.direction);
    for (const row of this.byNumber.values()) {
      if (row.state === "complete" && !row.invalid && row.score != null && (!found || first(row, found) < 0)) found = row;
    }
    return found;
  }

  /** How many rows there are of each state. */
  counts() {
    const counts = {};
    for (const { state } of this.byNumber.values()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  /** Parameters with more than one value: a constant one says nothing in a picture. */
  varying() {
    return this.parameters.filter(({ field, kind }) => {
      if (kind === "fixed") return false;
      const values = new Set();
      for (const row of this.byNumber.values()) if (row[field] !== undefined && values.add(row[field]).size > 1) return true;
      return this.byNumber.size < 2;
    });
  }
}

/** Compares rows, the better first; those without a score last. */
export function better(direction) {
  const sign = direction === "maximize" ? -1 : 1;
  return (a, b) => (a.score == null) - (b.score == null) || sign * ((a.score ?? 0) - (b.score ?? 0)) || a.number - b.number;
}

function same(a, b) {
  const names = Object.keys(b);
  if (Object.keys(a).length !== names.length) return false;
  return names.every((name) => a[name] === b[name] || JSON.stringify(a[name]) === JSON.stringify(b[name]));
}
