// Error analysis: the misclassified examples as pictures, tagged by a click, and what the tags add up to.

import { send } from "../api.js";
import { el, fill, text } from "../dom.js";
import { toast } from "../forms.js";
import { count, integer, number, percent } from "../format.js";
import { drawn } from "./pictures.js";
import { Confusion } from "./confusion.js";
import { chosenBy, handTags, ownTag, retagged } from "./tagging.js";

const AT_ONCE = 60;

export class Mistakes {
  constructor(store) {
    Object.assign(this, { store, picked: new Set(), filter: null, most: AT_ONCE, buttons: new Map() });
    this.sentence = el("p", {});
    this.confusion = new Confusion(store, (label, predicted) => this.only({ label, predicted }));
    this.table = el("tbody");
    this.gallery = el("div", { class: "gallery", role: "group", "aria-label": "Misclassified examples" });
    this.more = el("button", { type: "button", hidden: true, on: { click: () => ((this.most += AT_ONCE), this.#examples()) } }, "Show more");
    this.filterChip = el("button", { type: "button", class: "tag", hidden: true, on: { click: () => this.only(null) } });
    this.amount = el("span", { class: "amount", role: "status" });
    this.node = el("section", { id: "errors", "aria-labelledby": "errors-title", hidden: true },
      el("div", { class: "heading" }, el("h2", { id: "errors-title" }, "Error analysis")), this.sentence,
      el("div", { class: "grid" }, el("div", { class: "half" }, this.#categories()), el("div", { class: "half" }, this.confusion.node)),
      el("div", { class: "heading" }, el("h3", {}, "The examples")), this.#toolbar(), this.gallery, el("p", {}, this.more));
    store.on("errors", () => this.draw());
  }

  #categories() {
    const head = [["Tag"], ["Count", "end"], ["Share", "end"], ["Ceiling", "end"], ["Error then", "end"]].map(([name, end]) => el("th", { scope: "col", class: end ?? null }, name));
    return el("div", {}, el("h3", {}, "Categories"), el("p", { class: "note" }, "The ceiling is how far the error would fall if all of these were put right."),
      el("div", { class: "scroller short", tabindex: "0", role: "region", "aria-label": "Categories" }, el("table", { class: "plain" }, el("thead", {}, el("tr", {}, head)), this.table)));
  }

  #toolbar() {
    this.input = el("input", { type: "text", maxlength: 100, placeholder: "blurry", "aria-label": "Tag for the chosen examples", list: "known-tags", autocomplete: "off" });
    this.known = el("datalist", { id: "known-tags" });
    this.chips = el("span", { class: "tags" });
    this.add = el("button", { class: "primary", disabled: true }, "Tag");
    this.clear = el("button", { type: "button", class: "quiet", hidden: true, on: { click: () => this.#pick([]) } }, "Choose none");
    const all = el("button", { type: "button", class: "quiet", on: { click: () => this.#pick(this.#shown().map((one) => one.row)) } }, "Choose all");
    const form = el("form", { class: "tagging", on: { submit: (event) => (event.preventDefault(), this.#tag(this.input.value.trim())) } }, this.input, this.known, this.add);
    return el("div", { class: "toolbar sticky" }, this.filterChip, this.amount, form, this.chips, all, this.clear);
  }

  draw() {
    const found = this.store.errors;
    this.node.hidden = !found;
    if (!found) return;
    const shown = JSON.stringify([found.mistakes, found.categories, found.wrong, found.examples]);
    if (shown === this.shown) return;
    this.shown = shown;
    if (!Array.isArray(found.mistakes)) {
      fill(this.node, el("h2", {}, "Error analysis"), el("pre", { tabindex: "0" }, JSON.stringify(found, null, 2)));
      return;
    }
    const of = found.portions ? ` of the portions ${found.portions.first} to ${found.portions.last}` : "";
    const listed = found.mistakes.length < found.wrong ? ` The ${integer(found.mistakes.length)} that the model was surest of are here.` : "";
    text(this.sentence, `${integer(found.wrong)} of ${count(found.examples, `${found.portions ? "new" : found.part} example`)}${of} ${found.wrong === 1 ? "is" : "are"} wrong: ${percent(found.wrong / found.examples)}.${listed}`);
    this.confusion.show(found);
    this.#table(found);
    this.#examples();
    this.#marks();
  }

  #table({ categories }) {
    const hand = handTags(this.store.errors);
    fill(this.table, categories.map((one) => el("tr", { class: hand.has(one.tag) ? "by-hand" : null },
      el("th", { scope: "row" }, el("button", { type: "button", class: "quiet link", on: { click: () => this.only({ tag: one.tag }) } }, one.tag)),
      el("td", { class: "end" }, integer(one.count)), el("td", { class: "end" }, percent(one.share)), el("td", { class: "end" }, percent(one.ceiling)), el("td", { class: "end" }, percent(one.error_after)))));
    fill(this.known, [...hand].sort().map((tag) => el("option", { value: tag })));
  }

  /** Shows these mistakes only: of a tag, or of a cell of the confusion matrix; null for all. */
  only(filter) {
    this.filter = filter;
    this.most = AT_ONCE;
    this.filterChip.hidden = !filter;
    if (filter) text(this.filterChip, `${filter.tag ?? `${filter.label} taken for ${filter.predicted}`} ×`);
    this.#examples();
    this.#marks();
  }

  #shown() {
    return this.store.errors.mistakes.filter((one) => chosenBy(one, this.filter));
  }

  /** A button that is as it was stays, and with it the focus. */
  #examples() {
    const wanted = this.#shown();
    const known = this.buttons;
    this.buttons = new Map();
    const nodes = wanted.slice(0, this.most).map((one) => {
      const key = JSON.stringify(one);
      const node = known.get(key) ?? this.#example(one);
      this.buttons.set(key, node);
      return node;
    });
    if (nodes.some((node, i) => node !== this.gallery.children[i]) || nodes.length !== this.gallery.children.length) {
      const focused = document.activeElement?.dataset?.row;
      fill(this.gallery, nodes);
      if (focused) this.gallery.querySelector(`[data-row="${Number(focused)}"]`)?.focus();
    }
    this.more.hidden = wanted.length <= this.most;
    if (!wanted.length) fill(this.gallery, el("p", { class: "note" }, "None."));
  }

  #example(one) {
    const picture = drawn(this.store.errors.pictures, one.row);
    const own = ownTag(one);
    const tags = one.tags.filter((tag) => tag !== own);
    const where = one.portion ? `${one.portion}, row ${one.portion_row}` : `row ${one.row}`;
    return el("button", { type: "button", class: "mistake", "aria-pressed": String(this.picked.has(one.row)), title: where, data: { row: one.row }, on: { click: () => this.#toggle(one.row) } },
      picture ?? el("span", { class: "no-picture" }, where),
      el("span", {}, el("strong", {}, one.label), el("span", { class: "sr" }, " taken for "), el("span", { "aria-hidden": "true" }, " → "), el("strong", {}, one.predicted)),
      el("span", { class: "note" }, `${percent(one.probability)} sure`), el("span", { class: "tags" }, tags.map((tag) => el("span", { class: "tag" }, tag))));
  }

  #toggle(row) {
    if (this.picked.has(row)) this.picked.delete(row);
    else this.picked.add(row);
    this.#marks();
  }

  #pick(rows) {
    this.picked = new Set(rows);
    this.#marks();
  }

  #marks() {
    for (const node of this.gallery.querySelectorAll(".mistake")) node.setAttribute("aria-pressed", String(this.picked.has(Number(node.dataset.row))));
    const n = this.picked.size;
    text(this.amount, n ? `${count(n, "example")} chosen` : `${count(this.#shown().length, "example")}; choose some to tag them`);
    [this.add.disabled, this.clear.hidden] = [n === 0, n === 0];
    const chosen = this.store.errors.mistakes.filter((one) => this.picked.has(one.row));
    const tags = [...handTags(this.store.errors)].sort();
    const shown = JSON.stringify([tags, tags.map((tag) => chosen.length > 0 && chosen.every((one) => one.tags.includes(tag))), n === 0]);
    if (shown === this.shownChips) return;
    this.shownChips = shown;
    const focused = document.activeElement?.dataset?.tag;
    fill(this.chips, tags.map((tag) => el("button", { type: "button", class: "tag", disabled: n === 0, data: { tag }, "aria-pressed": String(n > 0 && chosen.every((one) => one.tags.includes(tag))), on: { click: () => this.#tag(tag, true) } }, tag)));
    if (focused !== undefined) [...this.chips.children].find((one) => one.dataset.tag === focused)?.focus();
  }

  /** Gives the chosen examples a tag; a chip that all of them have takes it away. */
  async #tag(tag, toggles = false) {
    if (!tag || !this.picked.size) return;
    try {
      const tags = retagged(this.store.errors.mistakes, this.picked, tag, toggles);
      this.store.errors = await send("PUT", `${this.store.path}/errors/tags`, { tags });
      this.input.value = "";
      this.draw();
      const row = this.store.errors.categories.find((one) => one.tag === tag);
      toast(row ? `${tag}: ${count(row.count, "example")}, at most ${number(100 * row.ceiling, 3)} % of the error.` : `${tag}: on none any more.`);
    } catch (problem) {
      toast(problem.detail ?? String(problem), { bad: true });
    }
  }
}
