// Pictures: a specification from the server, drawn when it comes into view, and changed without being drawn anew.

import { AGAIN_MS, get, passes } from "./api.js";
import { el, fill } from "./dom.js";
import { DataSet, wordsOf } from "./dataset.js";
import { expressions } from "./expressions.js";
import { Summaries } from "./summaries.js";
import { onTheme, themesOfPictures, vegaConfig } from "./theme.js";
import { lightened, tip } from "./tip.js";
import { change, has, leaveTitles, listen } from "./views.js";

themesOfPictures().catch(() => {}); // who draws is told
let loading = null;
let resizing = null; // one event for all pictures whose size has changed
const REST = 12; // times as long as its last change took
let turn = Promise.resolve(); // pictures are drawn one after the other, the first of the page first

/** What draws specifications, loaded once and only where a picture is seen. */
function vegaEmbed() {
  loading ??= import(document.documentElement.dataset.vega).then(() => globalThis.vegaEmbed);
  return loading;
}

/**
 * A picture in `element`: `chart(element, "/studies/x/plots/history?data=false", {rows})`, or a specification in place of
 * the path. `data`: name of a dataset -> its values. Options: `label`, what it shows, for those who cannot see it; `eager`,
 * drawn at once, before it is seen; `told(row)`, what its tooltips say of a trial; `config`, what its Vega configuration
 * has beside that of the theme.
 *
 * `update(name, values, removed)`: takes changed values; of a dataset with numbers those with the same number are replaced.
 * `replace(name, values)`: all of a dataset. `signal(name, value)`; `onSignal(name, f)`. `select(numbers)` and
 * `onSelect(f)`: the trials that are picked out in the picture, through its signal `selected`. `onPick(f)`: a mark was
 * clicked. `drawn`: a promise.
 * Zoom and selection survive an update, and a change of the theme.
 */
export function chart(element, spec, data = {}, options = {}) {
  return new Picture(element, spec, data, options);
}

class Picture {
  constructor(element, spec, data, options) {
    Object.assign(this, { element, spec, options, sets: {}, dirty: new Set(), signals: {}, listeners: [], view: null });
    for (const [name, values] of Object.entries(data)) this.sets[name] = new DataSet(values);
    element.classList.add("chart");
    element.picture = this; // whoever has the element finds the view: tests, and people in the browser's console
    if (typeof spec === "string") element.dataset.picture = spec.match(/\/plots\/(\w+)/)?.[1] ?? "";
    if (options.label) Object.entries({ role: "img", "aria-label": options.label }).forEach(([k, v]) => element.setAttribute(k, v));
    this.drawn = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.drawn.catch(() => {});
    this.seen = Boolean(options.eager);
    // What is near is drawn, and what is in sight follows its data.
    this.observer = new IntersectionObserver(([entry]) => this.#visible(entry.isIntersecting), { rootMargin: "150px" });
    this.watcher = new IntersectionObserver(([entry]) => ((this.inSight = entry.isIntersecting), this.#flush()));
    for (const one of [this.observer, this.watcher]) one.observe(element);
    if (this.seen) requestAnimationFrame(() => this.#visible(true)); // before all that wait to be seen
    this.unTheme = onTheme(() => this.view && this.#draw());
    this.sizes = new ResizeObserver(() => this.#resized());
    this.sizes.observe(element);
  }

  update(name, values, removed = []) {
    const set = this.#set(name);
    set.change(values, removed);
    this.#changed(name, set);
  }

  replace(name, values) {
    const set = this.#set(name);
    set.replace(values);
    this.#changed(name, set);
  }

  /** A dataset; one that comes when the picture is drawn already begins with what the view has of it: nothing. */
  #set(name) {
    if (!this.sets[name]) (this.sets[name] = new DataSet([])).fresh(this.named);
    return this.sets[name];
  }

  #changed(name, set) {
    this.dirty.add(name);
    if (set.isBehind && !this.seen && !this.drawing && !this.changing) this.#drop();
    this.#flush();
  }

  /** A picture that is out of sight and much behind is drawn anew when it is seen again. */
  #drop() {
    this.signals = { ...this.#state()?.signals, ...this.signals };
    this.view?.finalize();
    this.view = null;
    for (const set of Object.values(this.sets)) set.forget();
  }

  /** Another specification, such as of another pair of parameters; the data stay. */
  respec(spec) {
    if (spec !== this.spec) this.signals = {};
    this.spec = spec;
    if (this.drawing) this.outdated = true;
    else if (this.seen && (this.view || this.failed)) return this.#draw();
    else this.#drop(); // out of sight: drawn anew when it is seen again
    return undefined;
  }

  signal(name, value) {
    if (this.view) this.#signal(name, value);
    else this.signals[name] = value;
  }

  onSignal(name, f) {
    this.listeners.push([name, f]);
    if (this.view) listen(this.view, name, f);
  }

  /** Calls `f` with the datum of a mark that somebody clicks on. */
  onPick(f) {
    this.pick = f;
  }

  select(numbers) {
    this.told = String(numbers);
    this.signal("selected", [...numbers]);
  }

  onSelect(f) {
    this.onSignal("selected", (numbers) => String(numbers) === this.told || f(numbers)); // not what it was told itself
  }

  close() {
    this.closed = true;
    this.observer.disconnect();
    this.watcher.disconnect();
    this.sizes.disconnect();
    this.unTheme();
    this.#drop();
  }

  #visible(isSeen) {
    this.seen = isSeen;
    if (!isSeen) return;
    if (!this.view && !this.drawing) this.#draw();
  }

  /** Zoom and selection, which the next view takes over. */
  #state() {
    return this.view?.getState({ data: () => false, signals: (name) => Boolean(name) && isKept(name) && !this.summaries.computed.has(name) });
  }

  async #draw() {
    this.drawing = true;
    const [before, { promise, resolve: done }] = [turn, deferred()];
    turn = promise;
    try {
      const asked = typeof this.spec === "string" ? get(this.spec) : this.spec;
      const [embed, config, spec] = await Promise.all([vegaEmbed(), vegaConfig(), asked]);
      await before;
      const state = this.#state();
      this.view?.finalize();
      const host = el("div");
      fill(this.element, host);
      const light = lightened(spec);
      this.named = this.pick ? null : wordsOf({ ...light, datasets: null }); // who picks may want to know all of it
      this.summaries = new Summaries(spec, this.named);
      const result = await embed(host, light, {
        ast: true, expr: expressions, renderer: "canvas", actions: false, defaultStyle: false, config: { ...config, ...this.options.config }, tooltip: tip(this.options.told),
        patch: (compiled) => this.#filled(compiled),
      });
      this.view = result.view;
      leaveTitles(this.view);
      for (const [name, f] of this.listeners) listen(this.view, name, f);
      this.view.addEventListener("click", (_event, item) => item?.datum && this.pick?.(item.datum));
      for (const [name, value] of Object.entries({ ...state?.signals, ...this.signals })) this.#signal(name, value, false);
      this.signals = {};
      await this.view.runAsync();
      this.failed = false;
      this.width = this.element.clientWidth;
      this.#scrolls();
      performance.mark("sturgeon.drawn", { detail: this.element.dataset.picture ?? null });
      this.resolve(this.view);
    } catch (problem) {
      this.failed = true;
      this.view = null;
      fill(this.element, el("p", { class: "problem" }, problem.detail ?? "This picture cannot be drawn."));
      if (!problem.detail) console.error(problem);
      this.reject(problem);
      if (passes(problem)) setTimeout(() => this.failed && this.seen && !this.drawing && !this.closed && this.#draw(), AGAIN_MS);
    } finally {
      this.drawing = false;
      setTimeout(done); // the page answers between two pictures
    }
    if (this.outdated) {
      this.outdated = false;
      this.#draw();
    } else this.#flush();
  }

  /** Puts the data into the compiled specification, so that it is drawn once. */
  #filled(compiled) {
    for (const [name, set] of Object.entries(this.sets)) {
      const found = compiled.data?.find((one) => one.name === name);
      if (found) {
        found.values = set.fresh(this.named);
        delete found.url;
      }
    }
    this.dirty.clear();
    this.summaries.fill(compiled, this.sets);
    return compiled;
  }

  /** Makes the changes since the last time; a picture that takes long rests for longer, so that the page goes on answering. */
  async #flush() {
    if (!this.view || this.drawing || this.changing || !this.inSight || !this.dirty.size) return;
    const wait = (this.rests ?? 0) - performance.now();
    if (wait > 0) {
      this.timer ??= setTimeout(() => ((this.timer = null), this.#flush()), wait);
      return;
    }
    const began = performance.now();
    this.changing = true;
    try {
      this.#change();
      await this.view.runAsync();
    } finally {
      this.changing = false;
      this.rests = performance.now() + REST * (performance.now() - began);
    }
    this.#flush();
  }

  #change() {
    for (const name of this.dirty) {
      if (!has(this.view, name)) continue;
      const { remove, insert, gone, added } = this.sets[name].changes();
      change(this.view, name, remove, insert);
      if (name === this.summaries.of) this.summaries.change(this.view, this.sets, gone, added);
    }
    this.dirty.clear();
  }

  #signal(name, value, run = true) {
    if (!this.view) return;
    try {
      this.view.signal(name, value);
    } catch {
      return; // this picture has no such signal
    }
    if (run) this.view.runAsync();
  }

  /** What is wider than its place can be scrolled by keyboard, too. */
  #scrolls() {
    if (this.element.scrollWidth > this.element.clientWidth) this.element.tabIndex = 0;
    else this.element.removeAttribute("tabindex");
  }

  #resized() {
    const width = this.element.clientWidth;
    if (!this.view || width === this.width || !width) return;
    this.width = width;
    resizing ??= requestAnimationFrame(() => {
      resizing = null;
      dispatchEvent(new Event("resize")); // how Vega-Lite's `container` and our own specifications hear of a new size
    });
  }
}

function deferred() {
  let resolve;
  const promise = new Promise((f) => (resolve = f));
  return { promise, resolve };
}

const isKept = (name) => !/^(width|height|padding|autosize|background|style|parent|datum|item|event|cursor)$/.test(name);
