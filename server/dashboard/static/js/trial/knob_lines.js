// A panda's live parameters over its epochs: a picture for each one that was changed.

import { part } from "../api.js";
import { el, fill, text } from "../dom.js";
import { count } from "../format.js";
import { changedNames, knobInWords } from "./in_words.js";
import { Served } from "./served.js";

const MOST = 8;
const EVERY_MS = 5000; // while it trains, the lines grow longer and no more

export class KnobLines {
  constructor(store) {
    Object.assign(this, { store, pictures: new Map(), shown: "", at: -EVERY_MS });
    this.host = el("div", { class: "knob-lines" });
    this.note = el("p", { class: "note" });
    this.node = el("section", { id: "knob-lines", "aria-labelledby": "knob-lines-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "knob-lines-title" }, "Live parameters")), this.host, this.note);
    store.on("curves", () => this.draw());
  }

  draw() {
    const { interventions } = this.store.curves;
    const names = changedNames(interventions);
    this.node.hidden = names.length === 0;
    const shown = JSON.stringify(interventions);
    if (shown === this.shown && performance.now() - this.at < EVERY_MS) return;
    Object.assign(this, { shown, at: performance.now() });
    text(this.note, names.length > MOST ? `${count(names.length - MOST, "more parameter")} changed, too: they are in the timeline.` : "");
    this.#places(names.slice(0, MOST));
    for (const [name, picture] of this.pictures) picture.show(`${this.store.path}/plots/knobs?knob=${part(name)}`);
  }

  #places(names) {
    for (const [name, picture] of this.pictures) if (!names.includes(name)) (picture.close(), this.pictures.delete(name));
    for (const name of names) if (!this.pictures.has(name)) this.pictures.set(name, new Served(el("div"), "knobs", { label: (spec) => knobInWords(name, spec.datasets.knobs) }));
    const hosts = names.map((name) => this.pictures.get(name).host);
    if (hosts.length !== this.host.children.length || hosts.some((node, i) => node !== this.host.children[i])) fill(this.host, hosts);
  }
}
