// The confusion matrix: labels down, predictions across; a cell with mistakes shows them.

import { el } from "../dom.js";
import { cellsInWords } from "./in_words.js";
import { Served } from "./served.js";

export class Confusion {
  /** `onPick(label, predicted)`: a cell was chosen. The same by keyboard: the categories have a button for each cell. */
  constructor(store, onPick) {
    this.store = store;
    this.host = el("div");
    this.picture = new Served(this.host, "confusion", { label: () => cellsInWords(store.errors), onPick: (cell) => this.#pick(cell, onPick) });
    this.node = el("div", {}, el("h3", {}, "Confusion matrix"), el("p", { class: "note" }, "A click on a cell shows its examples, as the tags beside it do."), this.host);
  }

  show({ confusion }) {
    this.node.hidden = !confusion;
    const shown = JSON.stringify(confusion);
    if (!confusion || shown === this.shown) return;
    this.shown = shown;
    this.picture.show(`${this.store.path}/plots/confusion`);
  }

  #pick({ row, column, count }, onPick) {
    const names = this.store.errors.class_names;
    if (count && row !== column) onPick(names[row], names[column]);
  }
}
