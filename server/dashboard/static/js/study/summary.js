// What a study has come to, in one line, and what can be done to it.

import { el, fill, state } from "../dom.js";
import { integer, number } from "../format.js";

export class Summary {
  constructor(path, study, rows) {
    Object.assign(this, { path, study, rows });
    this.node = el("div", {});
    this.draw();
  }

  take(study) {
    this.study = study;
    this.draw();
  }

  draw() {
    const { counts, budget, best, metric } = this.study;
    const ended = ["complete", "pruned", "diverged", "failed", "cancelled"].reduce((n, one) => n + (counts[one] ?? 0), 0);
    const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    fill(this.node, el("dl", { class: "facts" }, fact("State", state(this.study.state)), fact("Trials", `${integer(ended)} of ${integer(budget.max_trials)}`), fact(`Best ${metric}`, number(best?.value))));
  }
}
