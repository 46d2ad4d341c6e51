// Bias, variance and data mismatch as bars, with what the course advises for the widest.

import { el, fill, svg } from "../dom.js";
import { integer, number, percent } from "../format.js";

const WIDTH = 320;
const NAMES = { known: "known error", train: "training", train_dev: "train-dev", dev: "dev", test: "test" };

export class Diagnosis {
  constructor(store) {
    this.store = store;
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
    fill(this.host, el("div", { class: "grid" }, el("div", { class: "two-thirds" }, gaps(found), portions), el("div", { class: "third" }, advice(found))), errors(found));
  }
}

/** The gaps, each from one error to the next, on one scale. */
function gaps({ gaps: found, widest, errors }) {
  const most = Math.max(1e-9, ...found.map((gap) => gap.size + 2 * gap.uncertainty), ...Object.values(errors));
  const rows = found.map((gap) => el("tr", { class: gap.name === widest ? "widest" : null },
    el("th", { scope: "row" }, gap.name, el("span", { class: "note" }, ` ${NAMES[gap.between[0]] ?? gap.between[0]} to ${NAMES[gap.between[1]] ?? gap.between[1]}`)),
    el("td", { class: "length" }, bar(gap, most)), el("td", { class: "end" }, percent(gap.size), el("span", { class: "note" }, ` ± ${percent(gap.uncertainty)}`)),
    el("td", {}, gap.name === widest ? "the widest" : gap.clear ? "clear" : "not clear")));
  return el("table", { class: "plain gaps" }, el("caption", { class: "sr" }, "Gaps between errors"),
    el("thead", {}, el("tr", {}, ["Gap", "", "Size", ""].map((name) => el("th", { scope: "col", class: name === "Size" ? "end" : null }, name)))), el("tbody", {}, rows));
}

/** A bar from 0, with two standard errors around its end. A negative gap is a bar of no length. */
function bar({ size, uncertainty, clear }, most) {
  const x = (value) => (WIDTH * Math.max(0, Math.min(1, value / most))).toFixed(1);
  const [low, high] = [size - 2 * uncertainty, size + 2 * uncertainty];
  return svg("svg", { viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", "aria-hidden": "true", class: clear ? "clear" : null },
    svg("rect", { x: 0, y: 4, width: x(size), height: 12, class: "size" }),
    svg("path", { d: `M${x(low)} 10H${x(high)}M${x(low)} 6v8M${x(high)} 6v8`, class: "spread" }));
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
  const part = ([name, error]) => fact(`${NAMES[name] ?? name} error`, percent(error), el("span", { class: "note" }, `${integer(sizes[name])} examples`));
  return el("dl", { class: "facts small" }, known != null && fact("known error", percent(known)), Object.entries(found).map(part), Object.keys(found).length === 0 && fact("errors", number(null)));
}
