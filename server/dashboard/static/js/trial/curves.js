// A trial's curves, with what was changed while it ran, its knobs over its epochs, and the gradients of its layers.

import { chart } from "../chart.js";
import { el, fill, text } from "../dom.js";
import { GRADIENT, groupsOf, gradientRows, interventionRows, shownOf } from "./curve_rows.js";

/** Which metrics are seen first: that of the study, then others that people look at. */
export class Curves {
  constructor(store) {
    Object.assign(this, { store, group: null, picture: null });
    this.host = el("div", { class: "tall" });
    this.choice = el("select", { "aria-label": "Metrics", on: { change: () => this.#turn(this.choice.value) } });
    this.changes = el("p", { class: "note" });
    this.node = el("section", { id: "curves", "aria-labelledby": "curves-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "curves-title" }, "Curves"), el("div", { class: "actions" }, this.choice)), this.host, this.changes);
    store.on("curves", () => this.draw());
  }

  draw() {
    const { curves } = this.store;
    const groups = groupsOf(curves);
    this.node.hidden = groups.size === 0;
    if (this.node.hidden) return;
    this.#choices(groups);
    const members = groups.get(this.group);
    const key = `${this.group} ${members.join()} ${curves.interventions.some((one) => one.epoch !== null)}`;
    const marks = interventionRows(curves.interventions);
    text(this.changes, marks.length ? "Vertical lines are changes, with their version; dashed if they were undone." : "");
    if (key === this.key) {
      this.picture.replace("curves", shownOf(curves, members));
      this.picture.replace("interventions", marks);
      return;
    }
    this.key = key;
    const path = `${this.store.path}/plots/trial_curves?data=false&metric=${encodeURIComponent(members[0])}`;
    const data = { curves: shownOf(curves, members), interventions: marks };
    this.picture?.close();
    fill(this.host);
    const label = `${members.join(" and ")} by ${curves.axis}, with ${marks.length} changes`;
    this.picture = chart(this.host, path, data, { label });
  }

  #choices(groups) {
    const names = [...groups.keys()];
    if (!groups.has(this.group)) this.group = names[0];
    const shown = names.join();
    if (shown === this.shown) return;
    this.shown = shown;
    this.choice.hidden = names.length < 2;
    fill(this.choice, names.map((name) => el("option", { value: name, selected: name === this.group }, groups.get(name).length > 1 ? `${name}: ${groups.get(name).join(", ")}` : groups.get(name)[0])));
  }

  #turn(group) {
    this.group = group;
    this.draw();
  }
}

/** Where gradients vanish, and where they explode. */
export class Gradients {
  constructor(store) {
    Object.assign(this, { store, picture: null });
    this.host = el("div", { class: "tall" });
    this.node = el("section", { id: "gradients", "aria-labelledby": "gradients-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "gradients-title" }, "Gradient norms by layer")),
      el("p", { class: "note" }, "On a log axis. Where the lines fan out by powers of ten, gradients vanish or explode."), this.host);
    store.on("curves", () => this.draw());
  }

  draw() {
    const { curves } = this.store;
    const layers = Object.keys(curves.metrics).filter((name) => GRADIENT.test(name)).length;
    this.node.hidden = layers === 0;
    if (this.node.hidden) return;
    const rows = gradientRows(curves);
    if (layers === this.layers) {
      this.picture.replace("gradients", rows);
      return;
    }
    this.layers = layers;
    this.picture?.close();
    fill(this.host);
    this.picture = chart(this.host, `${this.store.path}/plots/gradients?data=false`, { gradients: rows }, { label: `The norm of the gradient of each of ${layers} layers` });
  }
}
