// The confusion matrix: labels down, predictions across; a cell with mistakes shows them.

import { el, fill } from "../dom.js";
import { integer } from "../format.js";

const MOST = 30;

export class Confusion {
  /** `onPick(label, predicted)`: a cell was chosen. */
  constructor(onPick) {
    this.onPick = onPick;
    this.host = el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Confusion matrix, scrolls sideways" });
    this.node = el("div", {}, el("h3", {}, "Confusion matrix"), el("p", { class: "note" }, "Labels down, predictions across. A cell shows its examples."), this.host);
  }

  show({ class_names: names, confusion }) {
    this.node.hidden = !confusion || names.length > MOST;
    if (this.node.hidden) return;
    const shown = JSON.stringify(confusion);
    if (shown === this.shown) return;
    this.shown = shown;
    const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)));
    const head = el("tr", {}, el("td", {}), names.map((name) => el("th", { scope: "col" }, name)));
    const rows = confusion.map((row, i) => el("tr", {}, el("th", { scope: "row" }, names[i]), row.map((n, j) => this.#cell(n, names[i], names[j], i === j, most))));
    fill(this.host, el("table", { class: "confusion" }, el("thead", {}, head), el("tbody", {}, rows)));
  }

  #cell(n, label, predicted, isRight, most) {
    if (isRight) return el("td", { class: "right" }, integer(n));
    if (!n) return el("td", {}, "");
    const button = el("button", { type: "button", "aria-label": `${label} taken for ${predicted}: ${n}`, on: { click: () => this.onPick(label, predicted) } }, integer(n));
    button.style.setProperty("--share", (0.15 + 0.85 * (n / most)).toFixed(3));
    button.classList.toggle("strong", n / most > 0.5);
    return el("td", {}, button);
  }
}
