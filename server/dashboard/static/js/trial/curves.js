// A trial's curves, with what was changed while it ran; and the norms of its gradients by layer.

import { chart } from "../chart.js";
import { el, fill } from "../dom.js";

export class Curves {
  constructor(store) {
    Object.assign(this, { store, group: null });
    this.host = el("div", { class: "tall" });
    this.choices = el("div", { class: "segments", role: "group", "aria-label": "Which metrics" });
    this.node = el("section", { id: "curves", class: "two-thirds", "aria-labelledby": "curves-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "curves-title" }, "Curves"), this.choices), this.host);
    store.on("curves", () => this.draw());
  }

  draw() {
    const { metrics } = this.store.curves;
    this.node.hidden = Object.keys(metrics).length === 0;
  }
}
export const used = [chart, fill];
