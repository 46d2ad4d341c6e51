// The data of a picture, as they are given to Vega and changed there.

const MOST_CHANGES = 30_000;

/**
 * The values of a dataset, by number where they have one, and what a view has of them: copies, since Vega writes into
 * what it gets, and of each value only what the specification names, since Vega copies it for each layer.
 */
export class DataSet {
  constructor(values) {
    this.copies = null; // value -> its copy, while a view has them and so has to hear of changes
    [this.gone, this.added] = [new Set(), new Set()];
    this.replace(values);
  }

  replace(values) {
    if (this.copies) for (const one of this.all()) this.#leave(one);
    [this.byNumber, this.plain] = [new Map(), []];
    this.#take(values);
  }

  change(values, removed) {
    for (const { number } of [...removed, ...values]) {
      if (this.copies) for (const one of this.byNumber.get(number) ?? []) this.#leave(one);
      this.byNumber.delete(number);
    }
    this.#take(values);
  }

  #take(values) {
    for (const one of values) {
      if (one.number === undefined) this.plain.push(one);
      else if (this.byNumber.has(one.number)) this.byNumber.get(one.number).push(one);
      else this.byNumber.set(one.number, [one]);
      if (this.copies) this.added.add(one);
    }
  }

  /** A value goes: from the view, if it has come there. */
  #leave(one) {
    if (!this.added.delete(one)) this.gone.add(one);
  }

  /** All values, which nobody may change. */
  all() {
    const found = this.plain.slice();
    for (const ofNumber of this.byNumber.values()) for (const one of ofNumber) found.push(one);
    return found;
  }

  /** Copies of all values for a new view, of what is `named` there; null: of all. */
  fresh(named) {
    this.named = named;
    [this.gone, this.added] = [new Set(), new Set()];
    this.copies = new Map();
    return this.#copied(this.all());
  }

  #copied(values) {
    return values.map((one) => {
      const copy = narrowed(one, this.named);
      this.copies.set(one, copy);
      return copy;
    });
  }

  /** Whether it is cheaper to draw anew than to make all changes since: of a picture that is out of sight. */
  get isBehind() {
    return this.gone.size + this.added.size > MOST_CHANGES;
  }

  /** What has to be done to the view since the last time: copies, and the values `gone` and `added` that they are of. */
  changes() {
    const [gone, added] = [[...this.gone], [...this.added]];
    const remove = gone.map((one) => this.copies.get(one));
    for (const one of gone) this.copies.delete(one);
    const insert = this.#copied(added);
    [this.gone, this.added] = [new Set(), new Set()];
    return { remove, insert, gone, added };
  }

  /** Its view is gone. */
  forget() {
    this.copies = null;
    [this.gone, this.added] = [new Set(), new Set()];
  }
}

/** All words of a specification: a field that is none of these is not used by it. The fields of all messages are words. */
export function wordsOf(spec) {
  return new Set(JSON.stringify(spec).match(/[A-Za-z_]\w*/g));
}

/** A copy of a value, with its number and what is named; of all, where that is null. */
export function narrowed(value, named) {
  if (named === null) return { ...value };
  const copy = {};
  for (const field in value) if (field === "number" || named.has(field)) copy[field] = value[field];
  return copy;
}
