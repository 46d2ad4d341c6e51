// The data of a picture, as they are given to Vega and changed there.

/** The values of a dataset as Vega has them: copies, since Vega writes into them, and by number, so that they can be replaced. */
export class DataSet {
  constructor(values) {
    this.replace(values);
    this.gone = [];
  }

  replace(values) {
    this.gone = [...(this.gone ?? []), ...this.tuples()];
    this.byNumber = new Map();
    this.plain = [];
    this.added = [];
    this.#take(values);
  }

  change(values, removed) {
    const numbers = new Set([...values, ...removed].map((one) => one.number));
    for (const n of numbers) {
      for (const tuple of this.byNumber.get(n) ?? []) this.gone.push(tuple);
      this.byNumber.delete(n);
    }
    this.#take(values);
  }

  #take(values) {
    for (const one of values) {
      const tuple = { ...one };
      if (one.number === undefined) this.plain.push(tuple);
      else if (this.byNumber.has(one.number)) this.byNumber.get(one.number).push(tuple);
      else this.byNumber.set(one.number, [tuple]);
      this.added.push(tuple);
    }
  }

  tuples() {
    return [...(this.byNumber?.values() ?? [])].flat().concat(this.plain ?? []);
  }

  /** All values as new copies, for a new view. */
  fresh() {
    const values = this.tuples().map((tuple) => ({ ...tuple }));
    this.gone = [];
    this.replace(values);
    this.gone = [];
    this.added = [];
    return this.tuples();
  }

  /** What has to be done to the view since the last time. */
  changes() {
    const added = new Set(this.added);
    const gone = new Set(this.gone);
    const answer = { remove: this.gone.filter((one) => !added.has(one)), insert: this.added.filter((one) => !gone.has(one)) };
    [this.gone, this.added] = [[], []];
    return answer;
  }
}
