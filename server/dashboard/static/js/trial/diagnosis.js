// Bias, variance and data mismatch as bars, with what the course advises for the widest.

import { el, fill } from "../dom.js";
import { integer, number, percent } from "../format.js";
import { gapsInWords, nameOf } from "./in_words.js";
import { Served } from "./served.js";

export class Diagnosis {
  constructor(store) {
    this.store = store;
    this.bars = el("div");
    this.picture = new Served(this.bars, "diagnosis", { label: () => gapsInWords(store.diagnosis) });
    this.host = el("div");
    this.node = el("section", { id: "diagnosis", "aria-labelledby": "diagnosis-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "diagnosis-title" }, "Diagnosis")), this.host);
    store.on("diagnosis", () => this.draw());
  }

  draw() {
    const found = this.store.diagnosis;
    this.node.hidden = !found;
    if (!found) return;
    const shown = JSON.stringify(found);
    if (shown === this.shown) return;
    this.shown = shown;
    if (!Array.isArray(found.gaps)) {
      fill(this.host, el("pre", { tabindex: "0" }, JSON.stringify(found, null, 2)));
      return;
    }
    const portions = found.portions && el("p", { class: "note" }, `Dev is what the model had not seen of the portions ${found.portions.first} to ${found.portions.last}; train is what it had trained on before.`);
    fill(this.host, el("div", { class: "grid" }, el("div", { class: "two-thirds" }, this.bars, portions), el("div", { class: "third" }, advice(found))), errors(found));
    this.picture.show(`${this.store.path}/plots/diagnosis`);
  }
}

function advice({ advice: sentences, warnings, alarms, widest }) {
  const list = (items) => el("ul", {}, items.map((one) => el("li", {}, one)));
  return [
    el("h3", {}, widest ? `What to try: ${widest}` : "No gap is clear"),
    widest ? list(sentences) : el("p", { class: "note" }, "Each is less than two standard errors wide. More examples in the parts would tell more."),
    warnings.length > 0 && [el("h3", {}, "What may mislead"), list(warnings)],
    alarms.length > 0 && [el("h3", {}, "Alarms"), list(alarms)],
  ];
}

function errors({ errors: found, sizes, known_error: known }) {
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const part = ([name, error]) => fact(`${nameOf(name)} error`, percent(error), el("span", { class: "note" }, `${integer(sizes[name])} examples`));
  return el("dl", { class: "facts small" }, known != null && fact("known error", percent(known)), Object.entries(found).map(part), Object.keys(found).length === 0 && fact("errors", number(null)));
}
