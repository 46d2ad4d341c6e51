// What people and the server did to a study, the newest first.

import { get, part } from "../api.js";
import { el, fill } from "../dom.js";
import { ago, time } from "../format.js";
import { failed } from "../forms.js";

const PAGE = 25;
const MOST = 500; // of a page that stays open, the oldest in view are dropped
const PLAIN = new Set(["string", "number", "boolean"]);

export class Events {
  constructor(path) {
    Object.assign(this, { path, items: [], token: null });
    this.list = el("ol", { class: "events" });
    this.more = el("button", { type: "button", hidden: true, on: { click: () => this.#page() } }, "Earlier events");
    this.node = el("section", { "aria-labelledby": "events-title" }, el("div", { class: "heading" }, el("h2", { id: "events-title" }, "Events")), this.list, this.more);
    new IntersectionObserver(([entry], observer) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      this.#page();
    }, { rootMargin: "300px" }).observe(this.node);
  }

  async #page() {
    const after = this.token === null ? "" : `&page_token=${part(this.token)}`;
    try {
      const page = await get(`${this.path}/events?newest_first=true&page_size=${PAGE}${after}`);
      this.token = page.next_page_token ?? null;
      this.take(page.items);
      this.more.hidden = this.token === null;
    } catch (problem) {
      failed(this.list, problem, () => this.#page());
    }
  }

  /** Takes events, in any order; one that is known already changes nothing. */
  take(events) {
    const known = new Set(this.items.map((one) => one.id));
    const fresh = events.filter((one) => !known.has(one.id));
    if (!fresh.length) return;
    this.items = [...this.items, ...fresh].sort((a, b) => b.id - a.id).slice(0, MOST);
    fill(this.list, this.items.map((one) => this.#item(one)));
  }

  #item({ number: n, kind, detail, at }) {
    const trial = n === null ? null : el("a", { href: `${this.path}/trials/${part(n)}` }, `trial ${n}`);
    return el("li", {}, el("time", { datetime: at, title: time(at) }, ago(at)), el("span", { class: "kind" }, kind.replaceAll("_", " ")), el("span", {}, trial, trial ? " " : null, described(detail)));
  }
}

/** The parts of an event that are not nested, in words. */
export function described(detail) {
  if (detail.reason) return `“${detail.reason}”`;
  return Object.entries(detail)
    .filter(([, one]) => one !== null && one !== "" && (PLAIN.has(typeof one) || (Array.isArray(one) && one.every((x) => PLAIN.has(typeof x)) && one.length)))
    .map(([name, one]) => `${name.replaceAll("_", " ")} ${Array.isArray(one) ? one.join(", ") : one}`)
    .join(", ");
}
