// The data of a picture, as they are given to Vega and changed there.

const MOST_CHANGES = 30_000;

/** The values of a dataset as Vega has them: copies, since Vega writes into them, and by number, so that they can be replaced. */
export class DataSet {
  constructor(values) {
    this.inView = false; // whether a view has them, and so has to hear of changes
    [this.gone, this.added] = [[], []];
    this.replace(values);
  }

  replace(values) {
    if (this.inView) this.gone.push(...this.tuples());
    [this.byNumber, this.plain] = [new Map(), []];
    this.#take(values);
  }

  change(values, removed) {
    for (const { number } of [...removed, ...values]) {
      if (this.inView) this.gone.push(...(this.byNumber.get(number) ?? []));
      this.byNumber.delete(number);
    }
    this.#take(values);
  }

  #take(values) {
    for (const one of values) {
      const tuple = { ...one };
      if (one.number === undefined) this.plain.push(tuple);
      else if (this.byNumber.has(one.number)) this.byNumber.get(one.number).push(tuple);
      else this.byNumber.set(one.number, [tuple]);
      if (this.inView) this.added.push(tuple);
    }
  }

  tuples() {
    return [...this.byNumber.values()].flat().concat(this.plain);
  }

  /** All values as new copies, for a new view. */
  fresh() {
    this.inView = false;
    this.replace(this.tuples());
    this.inView = true;
    [this.gone, this.added] = [[], []];
    return this.tuples();
  }

  /** Whether it is cheaper to draw anew than to make all changes since: of a picture that is out of sight. */
  get isBehind() {
    return this.gone.length + this.added.length > MOST_CHANGES;
  }

  /** What has to be done to the view since the last time. */
  changes() {
    const [added, gone] = [new Set(this.added), new Set(this.gone)];
    const answer = { remove: this.gone.filter((one) => !added.has(one)), insert: this.added.filter((one) => !gone.has(one)) };
    [this.gone, this.added] = [[], []];
    return answer;
  }

  /** Its view is gone. */
  forget() {
    this.inView = false;
    [this.gone, this.added] = [[], []];
  }
}
