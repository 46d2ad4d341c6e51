// The pictures of a study.

import { chart } from "../chart.js";
import { el } from "../dom.js";

export class Pictures {
  /** `onPick(numbers or null)`: trials were brushed in a picture. */
  constructor(path, study, rows, onPick) {
    Object.assign(this, { path, study, rows, onPick, charts: [] });
    this.first = el("div", { class: "grid" }, this.#picture("history", "Over time", "The score of each trial, and the best so far"));
    this.more = el("div", { class: "grid" });
    rows.subscribe((changed, removed) => this.charts.forEach((one) => one.update("rows", changed, removed)));
  }

  #picture(kind, title, label) {
    const host = el("div", {});
    this.charts.push(chart(host, `${this.path}/plots/${kind}?data=false`, { rows: this.rows.all() }, { label }));
    return el("section", {}, el("div", { class: "heading" }, el("h2", {}, title)), host);
  }
}
