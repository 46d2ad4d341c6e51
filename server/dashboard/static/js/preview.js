// What a space draws, before compute is spent on it: where 100 draws of each parameter lie.

import { send } from "./api.js";
import { el, fill, svg } from "./dom.js";
import { number, percent, value } from "./format.js";

const DRAWS = 100;

/** `new SpacePreview()`: `.node`, and `.show({space, constraints, seed})`, which throws the problem if there is one. */
export class SpacePreview {
  constructor() {
    this.node = el("div", { class: "preview", "aria-live": "off" });
    this.asked = 0;
  }

  async show({ space, constraints = [], seed = 0 }) {
    const mine = (this.asked += 1);
    if (!Object.keys(space).length) return fill(this.node, el("p", { class: "note" }, "Add a parameter, and see here where its draws lie."));
    const preview = await send("POST", "/space:preview", { space, constraints, seed, examples: DRAWS });
    if (mine !== this.asked) return this.node; // a later question was asked meanwhile
    const share = constraints.length ? el("p", { class: "note" }, `${percent(preview.satisfied)} of the space satisfies the constraints.`) : null;
    return fill(this.node, share, Object.entries(preview.parameters).map(([name, one]) => parameter(name, one, preview.examples.map((draw) => draw[name]))));
  }
}

function parameter(name, { quantiles, shares }, draws) {
  const [text, picture] = quantiles && !(shares && Object.keys(shares).length <= 8) ? numeric(quantiles, draws) : choice(shares ?? {});
  return el("div", { class: "drawn" }, el("h3", {}, name), picture, text && el("p", { class: "note" }, text));
}

/** A stroke for each draw between low and high, evenly spaced in the number itself, so that one sees where they crowd. */
function numeric(quantiles, draws) {
  const [low, high] = [quantiles["0"], quantiles["1"]];
  const x = (one) => 2 + (396 * (one - low)) / (high - low || 1);
  const stroke = (one, kind, top) => svg("line", { class: kind, x1: x(one).toFixed(1), x2: x(one).toFixed(1), y1: top, y2: 20 });
  const strokes = draws.filter((one) => typeof one === "number").map((one) => stroke(one, "draw", 6));
  const half = `A stroke for each of ${DRAWS} draws, the tall one at the median. Half of all draws lie between ${number(quantiles["0.25"], 3)} and ${number(quantiles["0.75"], 3)}; one in twenty is below ${number(quantiles["0.05"], 3)}, one above ${number(quantiles["0.95"], 3)}.`;
  const picture = svg("svg", { class: "strip", viewBox: "0 0 400 22", preserveAspectRatio: "none", role: "img", "aria-label": half },
    svg("line", { class: "ground", x1: 0, x2: 400, y1: 20, y2: 20 }), strokes, stroke(quantiles["0.5"], "median", 0));
  return [half, el("div", { class: "axis" }, el("span", {}, number(low)), picture, el("span", {}, number(high)))];
}

function choice(shares) {
  const entries = Object.entries(shares);
  const rows = entries.slice(0, 12).map(([label, share]) => {
    const bar = el("span", { class: "bar-of" });
    bar.style.width = `${100 * share}%`;
    return el("tr", {}, el("th", { scope: "row" }, value(label)), el("td", {}, el("span", { class: "track" }, bar)), el("td", { class: "end" }, percent(share)));
  });
  return [entries.length > 12 ? `and ${entries.length - 12} more values` : null, el("table", { class: "shares" }, el("tbody", {}, rows))];
}
