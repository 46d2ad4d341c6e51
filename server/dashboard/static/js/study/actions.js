// What can be done to a study.

import { part, send } from "../api.js";
import { el, fill } from "../dom.js";
import { actionButton, dialog, field, toast } from "../forms.js";
import { value } from "../format.js";
import { SpaceEditor, written } from "../space.js";

export class Actions {
  /** `onStudy(study)`: the study as an action left it. */
  constructor(path, study, onStudy) {
    Object.assign(this, { path, study, onStudy });
    this.node = el("div", { class: "actions" });
    this.take(study);
  }

  take(study) {
    const was = `${this.study.state}${this.node.childElementCount}`;
    this.study = study;
    if (was === `${study.state}${this.node.childElementCount}` && this.node.childElementCount) return;
    const { state } = study;
    fill(this.node,
      state === "active" ? this.#move("Pause", "paused") : null,
      state === "paused" || state === "stopped" ? this.#move("Resume", "active", { primary: true }) : null,
      state === "active" || state === "paused" ? actionButton("Stop", () => this.#stop()) : null,
      state === "cancelled" ? null : actionButton("Budget", () => this.#budget()),
      state === "cancelled" ? null : actionButton("Space", () => this.#space()),
      this.#more());
  }

  #move(label, state, kind = {}) {
    return actionButton(label, async () => this.#patch({ state }), kind);
  }

  async #patch(patch) {
    const study = await send("PATCH", this.path, patch);
    this.onStudy(study);
    return study;
  }

  #stop() {
    return dialog({ title: `Stop ${this.study.name}?`, text: "Nothing new is handed out; trials that run go on to their end. It can be resumed.", act: "Stop", submit: () => this.#patch({ state: "stopped" }) });
  }

  #budget() {
    const { budget } = this.study;
    const number = (label, name, note) => field({ label, name, value: budget[name] ?? "", inputmode: "decimal", pointer: `/budget/${name}`, note });
    const fields = [number("Trials at most", "max_trials"), number("Epochs at most, of all trials", "max_epochs", "Empty: no limit."), number("Seconds at most, of all workers", "max_seconds", "Empty: no limit.")];
    const submit = async (form) => {
      const patch = Object.fromEntries(["max_trials", "max_epochs", "max_seconds"].map((name) => [name, form.get(name).trim() === "" ? null : written(form.get(name))]));
      await this.#patch({ budget: patch });
      toast("The budget is changed.");
    };
    return dialog({ title: "Budget", text: "A raised budget lets a completed study go on.", fields, act: "Change the budget", submit });
  }

  async #space() {
    const { space, constraints } = this.study;
    const editor = new SpaceEditor({ space, added: true });
    const limits = field({ label: "Constraints, one a line", name: "constraints", rows: 2, pointer: "/constraints", value: constraints.join("\n") });
    const submit = async () => {
      await this.#patch({ space: editor.space(), constraints: limits.input.value.split("\n").map((one) => one.trim()).filter(Boolean), added: editor.added() });
      toast("The space is changed. Results inside it stay in use.");
      location.reload();
    };
    const opened = dialog({ title: "Space", text: "A new revision: results that lie in the new space stay in use, the others count again when it is widened.", fields: [editor.node, limits], act: "Change the space", submit });
    document.querySelector("dialog[open]")?.classList.add("broad");
    return opened;
  }

  #more() {
    const close = (act) => async () => {
      menu.open = false;
      await act().catch((problem) => toast(problem.detail ?? String(problem), { bad: true }));
    };
    const item = (label, act, kind = null) => el("button", { type: "button", class: kind, on: { click: close(act) } }, label);
    const link = (label, href) => el("a", { href, download: "" }, label);
    const list = el("div", { class: "menu" },
      item("Describe …", () => this.#describe()), item("Add a trial …", () => this.#enqueue()), el("hr"),
      link("Trials as CSV", `/v1${this.path}/trials?format=csv`), link("Trials as NDJSON", `/v1${this.path}/trials?format=ndjson`), link("All metrics as CSV", `/v1${this.path}/metrics?format=csv`), el("hr"),
      this.study.state === "cancelled" ? null : item("Cancel …", () => this.#cancel(), "danger"), item("Delete …", () => this.#delete(), "danger"));
    const menu = el("details", { class: "dropdown", on: { keydown: (event) => event.key === "Escape" && (menu.open = false) } }, el("summary", { class: "button" }, "More"), list);
    document.addEventListener("click", (event) => menu.contains(event.target) || (menu.open = false));
    return menu;
  }

  #describe() {
    const { title, tags, notes } = this.study;
    const fields = [field({ label: "Title", name: "title", value: title }), field({ label: "Tags, with commas", name: "tags", value: tags.join(", ") }), field({ label: "Notes", name: "notes", rows: 5, value: notes })];
    const submit = (form) => this.#patch({ title: form.get("title"), notes: form.get("notes"), tags: form.get("tags").split(",").map((one) => one.trim()).filter(Boolean) });
    return dialog({ title: "Describe the study", fields, act: "Save", submit });
  }

  #enqueue() {
    const searched = Object.entries(this.study.space);
    const start = this.study.best?.params ?? {};
    const fields = searched.map(([name]) => field({ label: name, name, pointer: `/params/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, value: name in start ? value(start[name]) === String(start[name]) ? String(start[name]) : JSON.stringify(start[name]) : "" }));
    const submit = async (form) => {
      const given = searched.map(([name]) => [name, form.get(name)]).filter(([, text]) => text.trim() !== "");
      const trial = await send("POST", `${this.path}/trials`, { params: Object.fromEntries(given.map(([name, text]) => [name, written(text)])) });
      toast(`Trial ${trial.number} is queued; it is handed out next.`);
    };
    return dialog({ title: "Add a trial", text: "Its parameters begin as those of the best trial. It is handed out before new ones are drawn.", fields, act: "Queue it", submit });
  }

  #cancel() {
    return dialog({ title: `Cancel ${this.study.name}?`, text: "Trials that run end at once, and the study can never go on.", act: "Cancel the study", danger: true, submit: () => this.#patch({ state: "cancelled" }) });
  }

  async #delete() {
    const name = field({ label: `Write ${this.study.name} to delete it`, name: "sure" });
    const submit = async (form) => {
      if (form.get("sure").trim() !== this.study.name) throw { detail: "", errors: [{ pointer: "/sure", detail: "This is not its name." }] };
      await send("DELETE", `${this.path}?force=true`);
      location.assign("/");
    };
    return dialog({ title: "Delete the study?", text: "Its trials, curves, checkpoints and logs go with it; nothing brings them back.", fields: [name], act: "Delete for ever", danger: true, submit });
  }
}

/** What can be done to trials that are picked out. Gives the node; `show(rows)` with those picked. */
export class TrialActions {
  constructor(path, clear) {
    Object.assign(this, { path, clear });
    this.node = el("div", { class: "actions picked", role: "group", "aria-label": "Trials that are picked", hidden: true });
  }

  show(rows) {
    this.node.hidden = rows.length === 0;
    const numbers = rows.map((row) => row.number).sort((a, b) => a - b);
    const which = (...states) => rows.filter((row) => states.includes(row.state));
    const [again, alive] = [which("failed", "cancelled"), which("queued", "running", "paused")];
    const valid = rows.filter((row) => !row.invalid);
    fill(this.node,
      el("span", { class: "note" }, `${numbers.length} picked`),
      numbers.length > 1 && numbers.length <= 12 ? el("a", { class: "button", href: `${this.path}/compare?trials=${numbers.join(",")}` }, "Compare") : null,
      again.length ? actionButton(`Requeue ${again.length}`, () => this.#each(again, "requeue")) : null,
      alive.length ? actionButton(`Cancel ${alive.length}`, () => this.#each(alive, "cancel")) : null,
      valid.length ? actionButton("Invalidate", () => this.#invalidate(valid)) : null,
      actionButton("Pick none", async () => this.clear(), { quiet: true }));
  }

  #invalidate(rows) {
    const reason = field({ label: "Reason", name: "reason", note: "It is kept with the trial." });
    const submit = (form) => this.#each(rows, "invalidate", { reason: form.get("reason") });
    return dialog({ title: `Invalidate ${rows.length === 1 ? `trial ${rows[0].number}` : `${rows.length} trials`}?`, text: "Their results count for nothing from here on, and stay to be seen.", fields: [reason], act: "Invalidate", danger: true, submit });
  }

  async #each(rows, verb, body) {
    for (const row of rows) await send("POST", `${this.path}/trials/${part(row.number)}:${verb}`, body);
    const did = { requeue: "queued again", cancel: "cancelled", invalidate: "invalid" }[verb];
    toast(rows.length === 1 ? `Trial ${rows[0].number} is ${did}.` : `${rows.length} trials are ${did}.`);
    this.clear();
  }
}

