// The trials table: filter, sort, columns, selection.

import { part } from "../api.js";
import { el, state, text } from "../dom.js";
import { parseFilter } from "../filter.js";
import { ago, count, duration, integer, number, value } from "../format.js";
import { table } from "../table.js";
import { TrialActions } from "./actions.js";

const MANY = 3000;

/** The columns of trials: what all have, then the parameters of the study. */
function columnsOf(rows) {
  const parameters = rows.parameters.map(({ field, name, kind }) => ({
    id: field, label: name, end: kind !== "choice", width: Math.min(18, Math.max(9, name.length)), hidden: kind === "fixed",
    value: (row) => row[field], cell: (row) => (row[field] === undefined ? "" : value(row[field])),
  }));
  return [
    { id: "number", label: "Trial", width: 6, value: (row) => row.number, cell: (row) => `${row.number}` },
    { id: "state", label: "State", width: 15, value: (row) => (row.invalid ? "invalid" : row.state), cell: (row) => state(row.state, row.invalid ? `${row.state}, invalid` : row.state) },
    { id: "score", label: rows.objective || "Score", width: 10, end: true, value: (row) => row.score, cell: (row) => number(row.score) },
    ...parameters,
    { id: "epochs", label: "Epochs", width: 7, end: true, value: (row) => row.epochs, cell: (row) => number(row.epochs) },
    { id: "seconds", label: "Time", width: 9, end: true, value: (row) => row.seconds, cell: (row) => duration(row.seconds) },
    { id: "worker", label: "Worker", width: 14, value: (row) => row.worker },
    { id: "so_far", label: "Best epoch's", title: "The best that it has reported", width: 10, end: true, hidden: true, value: (row) => row.so_far, cell: (row) => number(row.so_far) },
    { id: "sampler", label: "Sampler", width: 14, hidden: true, value: (row) => row.sampler },
    { id: "round", label: "Round", width: 6, end: true, hidden: true, value: (row) => row.round },
    { id: "attempt", label: "Attempt", width: 7, end: true, hidden: true, value: (row) => row.attempt },
    { id: "parent", label: "Branch of", width: 8, end: true, hidden: true, value: (row) => row.parent },
    { id: "tags", label: "Tags", width: 16, hidden: true, value: (row) => (row.tags ?? []).join(", ") },
    { id: "error", label: "Error", width: 32, value: (row) => row.error },
    { id: "finished", label: "Ended", width: 12, value: (row) => row.finished_at, cell: (row) => (row.finished_at ? ago(row.finished_at) : ""), ages: true },
  ];
}

export class Trials {
  /** `onSelect(numbers)`: trials were picked out in the table. */
  constructor(path, rows, { onSelect = () => {} } = {}) {
    Object.assign(this, { path, rows, picked: null });
    this.study = path.split("/").at(-1);
    this.input = el("input", { type: "search", placeholder: "state:complete lr<0.01", "aria-label": "Filter trials", spellcheck: "false", on: { input: () => this.draw() } });
    this.problem = el("p", { class: "problem", role: "status" });
    this.amount = el("span", { class: "amount", role: "status" });
    this.chip = el("button", { type: "button", class: "tag", hidden: true, on: { click: () => this.only(null) } });
    const host = el("div", { id: "trials" });
    this.table = table(host, {
      label: "Trials", storage: `trials.${this.study}`, columns: columnsOf(rows), key: (row) => row.number, sort: { id: "number", descending: true },
      href: (row) => `/studies/${this.study}/trials/${part(row.number)}`, onSelect: (keys) => this.selected(keys),
      empty: el("p", { class: "empty" }, "No trial fits the filter, or none is there yet."),
    });
    this.onSelect = onSelect;
    this.actions = new TrialActions(path, () => this.selected(new Set(), true));
    this.node = el("section", { "aria-labelledby": "trials-title" },
      el("div", { class: "heading" }, el("h2", { id: "trials-title" }, "Trials"), this.actions.node),
      el("div", { class: "toolbar" }, el("div", { class: "search" }, this.input), this.chip, this.table.chooser, this.amount), this.problem, host);
    new IntersectionObserver(([entry]) => this.#seen(entry.isIntersecting), { rootMargin: "100px" }).observe(this.node);
    rows.subscribe(() => this.soon());
    this.draw();
  }

  /** Shows these trials only, as a picture picked them out; null for all. */
  only(numbers) {
    this.picked = numbers && new Set(numbers);
    this.chip.hidden = !this.picked;
    if (this.picked) text(this.chip, `Picked in a picture: ${this.picked.size} ×`);
    this.draw();
  }

  /** Rows have changed. Thousands are sorted twice a second, not with every change, and only where one sees it. */
  soon() {
    const many = this.rows.byNumber.size > MANY;
    this.isBehind = many && !this.inSight;
    if (!this.isBehind) this.timer ??= setTimeout(() => ((this.timer = null), this.draw()), many ? 500 : 50);
  }

  #seen(inSight) {
    this.inSight = inSight;
    if (inSight && this.isBehind) this.draw();
  }

  draw() {
    this.isBehind = false;
    const { test, problems } = parseFilter(this.input.value, this.rows.parameters, this.rows.objective);
    const every = this.rows.all();
    const wanted = every.filter((row) => (!this.picked || this.picked.has(row.number)) && test(row));
    text(this.problem, problems.join(" "));
    this.table.show(wanted);
    const left = this.rows.total - every.length;
    const of = wanted.length === every.length ? count(every.length, "trial") : `${integer(wanted.length)} of ${count(every.length, "trial")}`;
    text(this.amount, left > 0 ? `${of}; ${integer(left)} older ones are not shown` : of);
  }

  /** The space has another revision: other parameters, other columns. */
  revised() {
    this.table.setColumns(columnsOf(this.rows));
    this.draw();
  }

  selected(keys, tell = false) {
    if (tell) this.table.select(keys);
    this.actions.show([...keys].map((n) => this.rows.byNumber.get(n)).filter(Boolean));
    this.onSelect([...keys]);
  }
}
