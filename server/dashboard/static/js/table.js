// A table of any number of rows: only those in view are in the page. Sorted by a click, walked by the arrow keys.

import { el, fill, text } from "./dom.js";

const SPARE = 8;

/**
 * `table(host, {label, columns, key, href, onOpen, onSelect, storage, empty, sort})` -> `{show(rows), select(keys), chooser, ..}`
 *
 * columns: `[{id, label, value(row), cell(row)?, end?: bool, width?: in ch, hidden?: bool, sortable?: false, ages?: bool}]`;
 *   `value` is what is sorted by, `cell` what is shown (a node or a text; with `ages` one that changes by itself). key: `(row) => key`. href: `(row) => path`: Enter, or a
 *   click on the first cell, goes there; `onOpen(row)` instead. onSelect: `(Set of keys) => ..`; with it rows can be
 *   selected. storage: a name under which chosen columns and the order are kept. empty: what stands there without rows.
 */
export function table(host, options) {
  return new Table(host, options);
}

class Table {
  constructor(host, options) {
    Object.assign(this, { host, options, rows: [], active: 0, from: -1, to: -1, selected: new Set(), drawn: new Map() });
    const kept = this.#kept();
    this.shown = kept.columns ?? options.columns.filter((c) => !c.hidden).map((c) => c.id);
    this.sort = kept.sort ?? options.sort ?? null;
    this.head = el("thead");
    [this.above, this.body, this.below] = [el("tbody", { class: "spacer", "aria-hidden": "true" }), el("tbody"), el("tbody", { class: "spacer", "aria-hidden": "true" })];
    this.cols = el("colgroup");
    this.table = el(
      "table",
      { role: "grid", class: "rows", tabindex: "0", "aria-label": options.label, "aria-multiselectable": Boolean(options.onSelect) || null, on: { keydown: (e) => this.#key(e), click: (e) => this.#click(e) } },
      this.cols, this.head, this.above, this.body, this.below,
    );
    this.scroller = el("div", { class: "scroller", on: { scroll: () => this.#soon() } }, this.table);
    this.none = el("div", { hidden: true }, options.empty ?? el("p", { class: "empty" }, "Nothing here."));
    fill(host, this.scroller, this.none);
    new ResizeObserver(() => this.#soon()).observe(this.scroller);
    this.#header();
  }

  /** The columns in view, in order. */
  get columns() {
    return this.shown.map((id) => this.options.columns.find((c) => c.id === id)).filter(Boolean);
  }

  /** Shows these rows in the table's order; the scroll, the active row and the selection stay. */
  show(rows) {
    const active = this.rows[this.active];
    this.rows = this.#sorted(rows);
    this.given = rows;
    const at = active && this.rows.findIndex((row) => this.options.key(row) === this.options.key(active));
    this.active = at >= 0 ? at : Math.min(this.active, Math.max(0, this.rows.length - 1));
    this.none.hidden = this.rows.length > 0;
    this.scroller.hidden = this.rows.length === 0;
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.#draw(true);
  }

  /** Other columns: when a study gets new parameters. */
  setColumns(columns) {
    const known = new Set(this.options.columns.map((c) => c.id));
    this.options.columns = columns;
    this.shown = [...this.shown, ...columns.filter((c) => !known.has(c.id) && !c.hidden).map((c) => c.id)];
    this.#header();
    this.show(this.given ?? []);
  }

  /** Selects these keys and no others, without a call of onSelect. */
  select(keys) {
    this.selected = new Set(keys);
    this.#draw(true);
  }

  /** The button that lets people choose columns. */
  get chooser() {
    const box = (column) =>
      el("label", { class: "check" }, el("input", { type: "checkbox", checked: this.shown.includes(column.id), on: { change: (e) => this.#choose(column.id, e.target.checked) } }), column.label);
    const list = el("div", { class: "menu", role: "group", "aria-label": "Columns" }, this.options.columns.filter((c) => c.label).map(box));
    return el("details", { class: "dropdown" }, el("summary", { class: "button" }, "Columns"), list);
  }

  #choose(id, wanted) {
    const order = this.options.columns.map((c) => c.id);
    const shown = new Set(this.shown);
    if (wanted) shown.add(id);
    else if (shown.size > 1) shown.delete(id);
    this.shown = order.filter((one) => shown.has(one));
    this.#keep();
    this.#header();
    this.#draw(true);
  }

  #header() {
    fill(this.cols, this.columns.map((column) => {
      const col = el("col");
      col.style.width = `calc(${column.width ?? 12}ch + 1.5rem)`;
      return col;
    }));
    fill(this.head, el("tr", { "aria-rowindex": "1" }, this.columns.map((c) => this.#th(c))));
    this.table.setAttribute("aria-colcount", this.columns.length);
  }

  #th(column) {
    const sorted = this.sort?.id === column.id ? (this.sort.descending ? "descending" : "ascending") : null;
    const name = column.sortable === false
      ? el("span", {}, column.label)
      : el("button", { type: "button", on: { click: () => this.sortBy(column.id) } }, column.label);
    return el("th", { scope: "col", class: column.end ? "end" : null, "aria-sort": sorted, title: column.title ?? null }, name);
  }

  /** Sorts by a column; by the same again, the other way round. */
  sortBy(id) {
    this.sort = this.sort?.id === id ? { id, descending: !this.sort.descending } : { id, descending: false };
    this.#keep();
    this.#header();
    this.show(this.given ?? []);
  }

  #sorted(rows) {
    const column = this.sort && this.options.columns.find((c) => c.id === this.sort.id);
    if (!column) return rows;
    const sign = this.sort.descending ? -1 : 1;
    const pairs = rows.map((row) => [column.value(row), row]);
    return pairs.sort(([a], [b]) => compare(a, b, sign)).map(([, row]) => row);
  }

  #soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw(false);
    });
  }

  #height() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue("--row-px")) || 34;
  }

  #draw(anew) {
    const height = this.#height();
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((this.scroller.scrollTop + (this.scroller.clientHeight || 600)) / height) + SPARE);
    if (!anew && first === this.from && last === this.to) return;
    [this.from, this.to] = [first, last];
    this.above.style.height = `${first * height}px`;
    this.below.style.height = `${Math.max(0, this.rows.length - last) * height}px`;
    this.#put(this.rows.slice(first, last).map((row, i) => this.#stays(row, first + i) ?? this.#tr(row, first + i)));
    this.#mark();
  }

  /** What is in the page of a row that is as it was: only its place is another. */
  #stays(row, index) {
    const tr = this.drawn.get(row);
    if (!tr || tr.columns !== this.head.firstChild || (tr.ariaSelected === "true") !== this.selected.has(this.options.key(row))) return null;
    if (tr.dataset.index !== String(index)) this.#place(tr, index);
    this.columns.forEach((column, i) => column.ages && text(tr.children[i], column.cell(row)));
    return tr;
  }

  /** Makes these the rows of the body; those that stay are not touched. */
  #put(trs) {
    const wanted = new Set(trs);
    for (const tr of [...this.body.children]) if (!wanted.has(tr)) tr.remove();
    trs.forEach((tr, i) => this.body.children[i] === tr || this.body.insertBefore(tr, this.body.children[i] ?? null));
    this.drawn = new Map(trs.map((tr) => [tr.row, tr]));
  }

  #place(tr, index) {
    tr.id = `${this.#id()}-${index}`;
    tr.ariaRowIndex = String(index + 2);
    tr.dataset.index = index;
  }

  #tr(row, index) {
    const { key, href, onSelect } = this.options;
    const id = key(row);
    const cells = this.columns.map((column, i) => {
      const shown = column.cell ? column.cell(row) : (column.value(row) ?? "");
      const inner = i === 0 && href ? el("a", { href: href(row), tabindex: "-1" }, shown) : shown;
      return el("td", { class: [column.end ? "end" : "", column.class ?? ""].join(" ").trim() || null, data: column.narrow ? { narrow: column.narrow } : {} }, inner);
    });
    const tr = el("tr", { "aria-selected": onSelect ? String(this.selected.has(id)) : null }, cells);
    this.#place(tr, index);
    return Object.assign(tr, { row, columns: this.head.firstChild });
  }

  #id() {
    this.host.id ||= `table-${Math.floor(performance.now() * 1000)}`;
    return this.host.id;
  }

  #mark() {
    for (const tr of this.body.children) tr.classList.toggle("active", Number(tr.dataset.index) === this.active);
    if (this.rows.length) this.table.setAttribute("aria-activedescendant", `${this.#id()}-${this.active}`);
    else this.table.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    if (event.target !== this.table) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.#height()) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.rows.length, End: this.rows.length };
    if (event.key in steps) this.#go(this.active + steps[event.key], event.shiftKey);
    else if (event.key === "Enter") this.#open(this.rows[this.active]);
    else if (event.key === " ") this.#toggle(this.active);
    else return;
    event.preventDefault();
  }

  #go(index, selects) {
    this.active = Math.max(0, Math.min(this.rows.length - 1, index));
    const [height, top, room] = [this.#height(), this.scroller.scrollTop, this.scroller.clientHeight];
    const head = this.head.offsetHeight;
    const at = this.active * height;
    if (at < top) this.scroller.scrollTop = at;
    else if (at + height + head > top + room) this.scroller.scrollTop = at + height + head - room;
    if (selects) this.#toggle(this.active, true);
    this.#draw(false);
    this.#mark();
  }

  #click(event) {
    const tr = event.target.closest("tr[data-index]");
    if (!tr || event.target.closest("a, button, input")) return;
    this.active = Number(tr.dataset.index);
    this.#mark();
    if (this.options.onSelect) this.#toggle(this.active);
    else this.#open(this.rows[this.active]);
  }

  #toggle(index, always = false) {
    const row = this.rows[index];
    if (!row || !this.options.onSelect) return;
    const id = this.options.key(row);
    if (this.selected.has(id) && !always) this.selected.delete(id);
    else this.selected.add(id);
    this.#draw(true);
    this.options.onSelect(this.selected);
  }

  #open(row) {
    if (!row) return;
    if (this.options.onOpen) this.options.onOpen(row);
    else if (this.options.href) location.assign(this.options.href(row));
  }

  #kept() {
    try {
      return JSON.parse(localStorage.getItem(`sturgeon.table.${this.options.storage}`) ?? "{}");
    } catch {
      return {};
    }
  }

  #keep() {
    if (!this.options.storage) return;
    try {
      localStorage.setItem(`sturgeon.table.${this.options.storage}`, JSON.stringify({ columns: this.shown, sort: this.sort }));
    } catch {
      // Without storage it lasts as long as the page.
    }
  }
}

/** Numbers by size, texts by alphabet, numbers before texts; what is missing is last, whichever way. */
export function compare(a, b, sign = 1) {
  const [none, other] = [a === null || a === undefined || Number.isNaN(a), b === null || b === undefined || Number.isNaN(b)];
  if (none || other) return none - other;
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  if (typeof a !== typeof b) return sign * (typeof a === "number" ? -1 : 1);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}
