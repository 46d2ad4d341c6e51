// A picture of a trial that comes from the server with its rows, and then what has changed of it: while it is in sight.

import { AGAIN_MS, get, part, passes } from "../api.js";
import { chart } from "../chart.js";

export class Served {
  /** `label(spec)`: what it shows, in words. `onPick(datum)`: somebody has clicked on a mark of it. */
  constructor(host, kind, { label = (spec) => spec.description, onPick = null } = {}) {
    Object.assign(this, { host, label, onPick, picture: null, path: null, wanted: null, asking: null });
    host.dataset.picture = kind;
    this.near = new IntersectionObserver(([entry]) => {
      this.isNear = entry.isIntersecting;
      this.#look();
    }, { rootMargin: "300px" });
    this.near.observe(host);
  }

  /** Draws what is at the path, or what has changed there, as soon as its place is near. Never rejects: who asks again
   * gets it then, and it is asked for again where the server was away. */
  show(path) {
    this.wanted = path;
    this.#look();
  }

  #look() {
    if (this.isNear && this.wanted && !this.asking) this.#ask();
  }

  /** One request at a time: the next one goes on from the answer. */
  async #ask() {
    const path = this.wanted;
    this.wanted = null;
    if (path !== this.path) Object.assign(this, { path, cursor: "", spec: null, rows: {} });
    this.asking = get(`${path}${path.includes("?") ? "&" : "?"}since=${part(this.cursor)}`);
    try {
      this.#take(await this.asking);
    } catch (problem) {
      this.wanted ??= path; // there is none of it yet, or the server is away
      if (passes(problem)) setTimeout(() => this.#look(), AGAIN_MS);
      return;
    } finally {
      this.asking = null;
    }
    this.#look();
  }

  #take({ cursor, spec, datasets }) {
    this.cursor = cursor;
    for (const [name, { start, rows }] of Object.entries(datasets)) {
      const had = this.rows[name] ?? [];
      this.rows[name] = start ? [...had, ...rows] : rows;
      if (spec || (!rows.length && (start || !had.length))) continue;
      if (start) this.picture.update(name, rows);
      else this.picture.replace(name, rows);
    }
    if (spec) this.#draw(spec);
    this.host.setAttribute("aria-label", this.label({ ...this.spec, datasets: this.rows }));
  }

  #draw(spec) {
    this.picture?.close();
    this.spec = spec;
    this.picture = chart(this.host, { ...spec, datasets: this.rows }, this.rows, { label: spec.description });
    if (this.onPick) this.picture.onPick(this.onPick);
  }

  close() {
    this.near.disconnect();
    this.isNear = false;
    this.picture?.close();
  }
}
