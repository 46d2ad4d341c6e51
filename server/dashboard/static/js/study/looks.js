// What a specification says of all trials of a picture together, such as the states in its legend: when it is another one.

const LEFT_MS = 5000; // so long a legend names a state that no trial has any more: often it comes again

/** `words()`: what a specification is made of. `act()` is called when they are others: for a new one at once. */
export class Looks {
  constructor(words, act) {
    Object.assign(this, { words, act, known: new Set(words()), timer: null });
  }

  look() {
    const now = this.words();
    if (now.some((word) => !this.known.has(word))) this.#act();
    else if (now.length < this.known.size) this.timer ??= setTimeout(() => this.#late(), LEFT_MS);
  }

  #late() {
    this.timer = null;
    if (this.words().length < this.known.size) this.#act();
  }

  #act() {
    this.known = new Set(this.words());
    this.act();
  }
}

/** The states, each once, and between which of the bounds their number is: by it points and lines are large and opaque. */
export function looksOf(states, bounds) {
  const all = [...states];
  return [...new Set(all), `above ${bounds.filter((bound) => all.length > bound).length} bounds`];
}
