// What people and the server did to a study, the newest first.

import { get, part } from "../api.js";
import { el, fill } from "../dom.js";
import { failed } from "../forms.js";
import { eventItem } from "../happened.js";

const PAGE = 25;
const MOST = 500; // of a page that stays open, the oldest in view are dropped

export class Events {
  constructor(path) {
    Object.assign(this, { path, items: [], token: null });
    this.study = decodeURIComponent(path.split("/").at(-1));
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
    fill(this.list, this.items.map((one) => eventItem(one, this.study)));
  }
}
