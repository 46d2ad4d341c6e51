// A trial's curves, with what was changed while it ran, and the gradients of its layers.

import { part } from "../api.js";
import { el, fill, text } from "../dom.js";
import { Served } from "./served.js";

/** A group of metrics, of which that of the study is seen first. */
export class Curves {
  constructor(store) {
    Object.assign(this, { store, group: null });
    this.host = el("div", { class: "tall" });
    this.picture = new Served(this.host, "trial_curves", { label: () => this.#label() });
    this.choice = el("select", { "aria-label": "Metrics", on: { change: () => this.#turn(this.choice.value) } });
    this.changes = el("p", { class: "note" });
    this.node = el("section", { id: "curves", "aria-labelledby": "curves-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "curves-title" }, "Curves"), el("div", { class: "actions" }, this.choice)), this.host, this.changes);
    store.on("curves", () => this.draw());
  }

  draw() {
    const { groups } = this.store.curves;
    this.node.hidden = groups.length === 0;
    if (this.node.hidden) return;
    this.#choices(groups);
    text(this.changes, this.#marks() ? "Vertical lines are changes, with their version; dashed if they were undone." : "");
    this.picture.show(`${this.store.path}/plots/trial_curves?metric=${part(this.#members()[0])}`);
  }

  #members() {
    return this.store.curves.groups.find(({ name }) => name === this.group).metrics;
  }

  #marks() {
    return this.store.curves.interventions.filter((one) => one.epoch !== null).length;
  }

  #label() {
    return `${this.#members().join(" and ")} by ${this.store.curves.axis}, with ${this.#marks()} changes`;
  }

  #choices(groups) {
    if (!groups.some(({ name }) => name === this.group)) this.group = groups[0].name;
    const shown = JSON.stringify(groups);
    if (shown === this.shown) return;
    this.shown = shown;
    this.choice.hidden = groups.length < 2;
    fill(this.choice, groups.map(({ name, metrics }) => el("option", { value: name, selected: name === this.group }, metrics.length > 1 ? `${name}: ${metrics.join(", ")}` : metrics[0])));
  }

  #turn(group) {
    this.group = group;
    this.draw();
  }
}

/** Where gradients vanish, and where they explode. */
export class Gradients {
  constructor(store) {
    this.store = store;
    this.host = el("div", { class: "tall" });
    this.picture = new Served(this.host, "gradients", { label: ({ datasets }) => `The norm of the gradient of each of ${new Set(datasets.gradients.map(({ layer }) => layer)).size} layers` });
    this.node = el("section", { id: "gradients", "aria-labelledby": "gradients-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "gradients-title" }, "Gradient norms by layer")),
      el("p", { class: "note" }, "On a log axis. Where the lines fan out by powers of ten, gradients vanish or explode."), this.host);
    store.on("curves", () => this.draw());
  }

  draw() {
    this.node.hidden = !Object.keys(this.store.curves.metrics).some((name) => name.startsWith("gradient_norm_"));
    if (!this.node.hidden) this.picture.show(`${this.store.path}/plots/gradients`);
  }
}
