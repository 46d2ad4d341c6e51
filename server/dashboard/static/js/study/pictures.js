// The pictures of a study: each is drawn when it comes into view, and changed as trials change.

import { AGAIN_MS, ahead, get, part, passes } from "../api.js";
import { chart } from "../chart.js";
import { el, empty, fill, text } from "../dom.js";
import { count } from "../format.js";
import { field } from "../forms.js";
import { toldOf } from "../tip.js";
import { boxRows } from "./boxes.js";
import { Looks, looksOf } from "./looks.js";

const MANY = 3000; // with more rows pictures follow once a second
const SLICES = 8;
const AXES = [...Array(13).keys()]; // a picture of parallel coordinates has no more
const CURVE_POINTS = 60_000; // of all curves together
const ROW_BOUNDS = [300, 2000]; // as size_of and opacity_of in sturgeon/plots/marks.py have them
const CURVE_BOUNDS = [30, 200]; // as sturgeon/plots/curves.py has them

export class Pictures {
  /** `onPick(numbers or null)`: trials were picked out in a picture. */
  constructor(path, rows, onPick) {
    Object.assign(this, { path, rows, onPick, charts: [], boxed: [], boxes: [], changed: new Map(), removed: new Map(), timer: null, told: toldOf(rows) });
    this.looks = new Looks(() => looksOf(rows.all().map((row) => row.state), ROW_BOUNDS), () => this.#respec());
    this.above = el("div", { class: "grid" }, this.#history(), this.#importance(), this.#parallel());
    this.curves = this.#curves();
    this.below = el("div", { class: "grid" }, this.#slices(), this.#map(), this.curves);
    rows.subscribe((changed, removed) => this.#collect(changed, removed));
    const changed = this.#follow(this.below, () => this.#boxes(), 10_000);
    this.#boxes().catch((problem) => passes(problem) && changed());
  }

  /** Where each round drew; of a sampler without rounds nothing. */
  async #boxes() {
    const rounds = await get(`${this.path}/rounds`);
    if (rounds.items.length === this.rounds) return;
    this.rounds = rounds.items.length;
    this.boxes = boxRows(rounds, this.rows.parameters);
    for (const one of this.boxed) one.replace("boxes", this.boxes);
  }

  /** Picks trials out in all pictures. */
  select(numbers) {
    for (const one of this.charts) one.select(numbers);
  }

  /** The space has another revision: pictures of its parameters, and all others anew. */
  revised() {
    for (const one of this.boxed) one.close();
    this.charts = this.charts.filter((one) => !this.boxed.includes(one));
    this.boxed = [];
    fill(this.below, this.#slices(), this.#map(), this.curves);
    this.#respec();
  }

  #respec() {
    for (const one of this.charts) one.respec(one.spec);
  }

  #collect(changed, removed) {
    for (const row of removed) {
      this.changed.delete(row.number);
      this.removed.set(row.number, row);
    }
    for (const row of changed) this.changed.set(row.number, row);
    this.timer ??= setTimeout(() => this.#pass(), this.rows.byNumber.size > MANY ? 1000 : 200);
  }

  /** One picture a task, so that none keeps the page from answering for long. */
  #pass() {
    this.timer = null;
    const [changed, removed] = [[...this.changed.values()], [...this.removed.values()]];
    this.changed.clear();
    this.removed.clear();
    this.looks.look();
    this.charts.forEach((one, i) => setTimeout(() => one.update("rows", changed, removed), 20 * i));
    for (const f of this.followers ?? []) f();
  }

  #rowsChart(kind, query, label, options = {}, host = el("div")) {
    const one = chart(host, `${this.path}/plots/${kind}?data=false${query}`, { rows: this.rows.all() }, { label, told: this.told, ...options });
    this.charts.push(one);
    return one;
  }

  #boxed(one) {
    this.boxed.push(one);
    one.replace("boxes", this.boxes);
    return one;
  }

  #history() {
    const one = this.#rowsChart("history", "", "The score of each trial, and the best so far", { eager: true });
    one.onSelect((numbers) => this.onPick(numbers));
    return section("Score of each trial", "two-thirds", one.element);
  }

  #parallel() {
    const best = this.rows.byNumber.size > MANY ? "10" : "100"; // ten thousand lines show nothing
    const one = this.#rowsChart("parallel", `&top=${best}`, "Each trial as a line through its parameters; drag along an axis to pick trials out");
    one.onSelect((numbers) => this.onPick(numbers));
    const shares = [["100", "All trials"], ["10", "Best 10 %"], ["5", "Best 5 %"], ["1", "Best 1 %"]];
    const top = el("select", { "aria-label": "Which trials are shown", class: "short", on: { change: () => one.signal("top", Number(top.value)) } }, shares.map(([value, label]) => el("option", { value }, label)));
    top.value = best;
    const clear = el("button", { type: "button", class: "quiet", on: { click: () => AXES.forEach((i) => one.signal(`brush_${i}`, null)) } }, "Clear brushes");
    return section("Parameters", null, one.element, [top, clear], "Drag along an axis to pick trials out: the table follows.");
  }

  #importance() {
    const host = el("div");
    const one = chart(host, `${this.path}/plots/importance?data=false`, {}, { label: "How much each parameter changes the score", config: { padding: { left: 2, top: 2, bottom: 2, right: 64 } } });
    const told = el("p", { class: "note" });
    const ask = async () => {
      const found = await get(`${this.path}/importance`);
      one.replace("importance", found.items.slice(0, 30));
      const from = `from ${count(found.trials, "result")}; whiskers: ± 1 standard deviation over the last rounds`;
      text(told, found.items.length ? `The share of what changes the score, ${from}.` : "Nothing is known yet: the search has learnt from too few results.");
    };
    const changed = this.#follow(host, ask, 15_000);
    ask().catch((problem) => {
      text(told, problem.detail ?? String(problem));
      if (passes(problem)) changed();
    });
    return section("Importance", "third", [told, host]);
  }

  /** Calls `act` at most so often after rows have changed, while the element is in view: once at a time, and again where
   * it says that there is more (true), or the server was away. Gives the function that says that something has changed. */
  #follow(host, act, every) {
    let [due, last, seen, acting] = [false, performance.now(), false, false];
    const look = async () => {
      if (!due || !seen || acting || performance.now() - last < every) return;
      [due, last, acting] = [false, performance.now(), true];
      try {
        due = (await act()) === true || due;
      } catch (problem) {
        if (!problem.detail) throw problem; // a fault of this page
        due ||= passes(problem);
      } finally {
        acting = false;
      }
    };
    new IntersectionObserver(([entry]) => ((seen = entry.isIntersecting), look())).observe(host);
    const changed = () => ((due = true), look());
    (this.followers ??= []).push(changed);
    setInterval(look, 5000);
    return changed;
  }

  #slices() {
    const searched = this.rows.parameters.filter((one) => one.kind !== "fixed" && one.current !== false);
    const list = el("div", { class: "grid slices" });
    const add = ({ field: name, name: label }) => list.append(el("div", { class: "third" }, this.#boxed(this.#rowsChart("slice", `&field=${part(name)}`, `${label} against the score`)).element));
    searched.slice(0, SLICES).forEach(add);
    const rest = searched.slice(SLICES);
    const more = rest.length ? el("button", { type: "button", on: { click: () => (rest.forEach(add), more.remove()) } }, `${rest.length} more parameters`) : null;
    return section("Each parameter against the score", null, [list, more], null, "Bars above: where each round drew, the newest lowest. Where they get narrower, the search closes in.");
  }

  #map() {
    const names = this.rows.parameters.filter((one) => one.kind !== "fixed").map((one) => [one.field, one.name]);
    if (names.length < 2) return null;
    const host = el("div");
    const [x, y] = [0, 1].map((i) => field({ label: i ? "Up" : "Across", name: "xy"[i], options: names, value: names[i][0] }));
    const spec = () => `${this.path}/plots/map?data=false&x=${part(x.input.value)}&y=${part(y.input.value)}`;
    const one = chart(host, spec(), { rows: this.rows.all() }, { label: "Two parameters as a map", told: this.told });
    this.charts.push(this.#boxed(one));
    for (const choice of [x, y]) choice.input.addEventListener("change", () => one.respec(spec()));
    return section("Two parameters", "half", host, [x, y]);
  }

  #curves() {
    const host = el("div", { class: "chart", "data-picture": "curves" });
    const section_ = section("Learning curves", "half", host);
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      this.#drawCurves(host).catch((problem) => {
        fill(host, empty(problem.detail ?? String(problem)));
        if (passes(problem)) setTimeout(() => observer.observe(section_), AGAIN_MS);
      });
    }, { rootMargin: "300px" });
    observer.observe(section_);
    return section_;
  }

  async #drawCurves(host) {
    const points = Math.max(20, Math.min(200, Math.floor(CURVE_POINTS / Math.max(1, this.rows.byNumber.size))));
    const spec = `${this.path}/plots/curves?data=false`;
    const forget = ahead(spec);
    const first = await get(`${this.path}/curves?points=${points}`);
    let { cursor } = first;
    let [one, looks] = [null, null];
    const states = new Map(); // of the trials that have curves
    const take = (curves) => {
      for (const { number, state, epochs } of curves) epochs.length ? states.set(number, state) : states.delete(number);
      if (one) {
        one.update("curves", long({ curves }), curves); // one that is empty now is gone
        return looks.look();
      }
      if (!states.size) return;
      fill(host);
      one = chart(host, spec, { curves: long({ curves }) }, { label: "The metric of each trial, epoch by epoch", told: this.told });
      looks = new Looks(() => looksOf(states.values(), CURVE_BOUNDS), () => one.respec(spec));
    };
    if (!first.curves.length) {
      forget(); // by then it is another one
      fill(host, empty("No trial has reported a curve yet."));
    }
    take(first.curves);
    const changed = this.#follow(host, async () => {
      const next = await get(`${this.path}/curves?points=${points}&since=${part(cursor)}`);
      cursor = next.cursor;
      take(next.curves);
      return next.more;
    }, 3000);
    changed(); // perhaps since the first answer was made
  }
}

/** Curves as one row a point; the last of each has `end`. */
export function long({ curves }) {
  return curves.flatMap(({ number, state, epochs, values }) => epochs.map((epoch, i) => ({ number, state, epoch, value: values[i], ...(i === epochs.length - 1 && { end: true }) })));
}

function section(title, width, content, controls = null, note = null) {
  const id = `section-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;
  return el("section", { class: width, "aria-labelledby": id },
    el("div", { class: "heading" }, el("h2", { id }, title), controls && el("div", { class: "actions" }, controls)),
    note && el("p", { class: "note" }, note), content);
}
