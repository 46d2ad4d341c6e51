// The checkpoints of a trial, each with what can go on from it; and the tree of trials that went on from each other.

import { part } from "../api.js";
import { el, fill, state } from "../dom.js";
import { bytes, number, value } from "../format.js";
import { when } from "../when.js";
import { hasEnded } from "./changes.js";
import { fork, promote, rollback } from "./verbs.js";

export class Checkpoints {
  constructor(store) {
    Object.assign(this, { store, rows: new Map() });
    this.body = el("tbody");
    const head = ["Step", "Epoch", "Value", "Size", "Kept", "Written", "Go on from it"].map((name) => el("th", { scope: "col", class: /Step|Epoch|Value|Size/.test(name) ? "end" : null }, name));
    this.node = el("section", { id: "checkpoints", "aria-labelledby": "checkpoints-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "checkpoints-title" }, "Checkpoints")),
      el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Checkpoints, scrolls sideways" }, el("table", { class: "plain stacked" }, el("thead", {}, el("tr", {}, head)), this.body)));
    store.on("checkpoints", () => this.draw());
    store.on("trial", () => this.draw());
  }

  /** A row that is as it was stays, and with it the focus. */
  draw() {
    const { checkpoints, trial, study } = this.store;
    if (!checkpoints || !trial || !study) return;
    this.node.hidden = checkpoints.length === 0;
    const known = this.rows;
    this.rows = new Map();
    const rows = [...checkpoints].reverse().map((one) => {
      const key = JSON.stringify([one, hasEnded(trial)]);
      const tr = known.get(key) ?? this.#row(one, trial, study);
      this.rows.set(key, tr);
      return tr;
    });
    if (rows.length !== this.body.children.length || rows.some((tr, i) => tr !== this.body.children[i])) place(this.body, rows);
  }

  #row(one, trial, study) {
    const cell = (label, content, end = true) => el("td", { class: end ? "end" : null, data: { label } }, content);
    const kept = [one.lost && state("failed", "lost"), one.pinned && "pinned", one.version > 0 && `version ${one.version}`].filter(Boolean);
    const act = (label, f) => el("button", { type: "button", class: "quiet", "aria-label": `${label} step ${one.step}`, on: { click: () => f(this.store, one.step) } }, label);
    const trains = study.task?.kind === "train";
    const verbs = one.lost || !trains ? null : [!hasEnded(trial) && act("Roll back", rollback), act("Fork", fork), act("Promote", promote)];
    const file = `/v1/studies/${part(trial.study)}/trials/${trial.number}/checkpoints/${one.step}`;
    return el("tr", {},
      el("th", { scope: "row", class: "end", data: { label: "Step" } }, number(one.step)), cell("Epoch", number(one.epoch)), cell("Value", number(one.value)),
      cell("Size", one.lost ? bytes(one.size) : el("a", { href: file, download: `${trial.study}-${trial.number}-${one.step}.npz` }, bytes(one.size))),
      cell("Kept", kept.flatMap((word, i) => (i ? [", ", word] : [word])), false), cell("Written", when(one.created_at), false),
      cell("Go on from it", el("div", { class: "actions" }, verbs), false));
  }
}

/** Puts rows in order without taking those away that stay. */
function place(body, rows) {
  const wanted = new Set(rows);
  for (const tr of [...body.children]) if (!wanted.has(tr)) tr.remove();
  rows.forEach((tr, i) => body.children[i] !== tr && body.insertBefore(tr, body.children[i] ?? null));
}

export class Lineage {
  constructor(store) {
    this.store = store;
    this.tree = el("div", { class: "lineage" });
    this.node = el("section", { id: "lineage", "aria-labelledby": "lineage-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "lineage-title" }, "Lineage"), el("div", { class: "actions" }, this.compare = el("a", { class: "button", href: "#" }, "Compare them"))), this.tree);
    store.on("lineage", () => this.draw());
  }

  draw() {
    const { items, left_out: left } = this.store.lineage;
    this.node.hidden = items.length < 2;
    if (this.node.hidden) return;
    const shown = JSON.stringify(items);
    if (shown === this.shown) return;
    this.shown = shown;
    const study = part(this.store.name);
    this.compare.setAttribute("href", `/studies/${study}/compare?trials=${items.slice(0, 12).map((one) => one.number).join()}`);
    fill(this.tree, el("ul", {}, this.#item(items[0], childrenOf(items), study)), left ? el("p", { class: "note" }, `${number(left)} newer ones are not shown.`) : null);
  }

  #item(one, children, study) {
    const isThis = one.number === this.store.number;
    const from = one.parent && el("span", { class: "note" }, `from step ${number(one.parent.step)}`);
    const changed = Object.entries(one.changed).map(([name, set]) => `${name} ${value(set)}`).join(", ");
    const branches = (children.get(one.number) ?? []).map((child) => this.#item(child, children, study));
    return el("li", {},
      el("div", { class: "node" }, el("a", { href: `/studies/${study}/trials/${one.number}`, "aria-current": isThis ? "page" : null }, `Trial ${one.number}`), state(one.state, one.invalid ? `${one.state}, invalid` : one.state),
        el("span", { class: "number" }, number(one.value)), one.parent && el("span", { class: "changed" }, changed || "as it was (control)"), from),
      branches.length ? el("ul", {}, branches) : null);
  }
}

/** Number of a trial -> those that went on from it. */
export function childrenOf(items) {
  const children = new Map();
  for (const one of items) {
    if (!one.parent) continue;
    if (!children.has(one.parent.number)) children.set(one.parent.number, []);
    children.get(one.parent.number).push(one);
  }
  return children;
}
