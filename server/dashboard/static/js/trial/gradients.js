// The norm of the gradient in each layer: where it vanishes, and where it explodes.

import { chart } from "../chart.js";
import { el } from "../dom.js";

export class Gradients {
  constructor(store) {
    this.store = store;
    this.host = el("div");
    this.node = el("section", { id: "gradients", "aria-labelledby": "gradients-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "gradients-title" }, "Gradient norms by layer")), this.host);
  }
}
export const used = chart;
