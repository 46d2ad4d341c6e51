// Forms whose mistakes stand at their fields, dialogs, and short notices.

import { el, fill, focusIn } from "./dom.js";

let last = 0;
const newId = () => `f${(last += 1)}`;

/**
 * A field with its label: `field({label, name, value, type, note, required, options, rows})`. `options` make it a
 * select, `rows` a textarea; `pointer` is the JSON pointer whose mistakes stand here. Gives the node; `.input` is the control.
 */
export function field({ label, name, value = "", type = "text", note = null, options = null, rows = null, pointer = `/${name}`, wide = false, ...rest }) {
  const id = newId();
  const noteId = note && `${id}-note`;
  const props = { id, name, "aria-describedby": noteId, ...rest };
  const input = options
    ? el("select", props, options.map((one) => option(one, value)))
    : rows
      ? el("textarea", { ...props, rows, spellcheck: "false" })
      : el("input", { ...props, type, autocomplete: "off" });
  if (type === "checkbox") input.checked = Boolean(value);
  else input.value = value;
  const node = el("div", { class: `field${type === "checkbox" ? " checkbox" : ""}${wide ? " wide" : ""}`, data: { pointer } },
    el("label", { for: id }, label), input, note && el("p", { class: "note", id: noteId }, note));
  node.input = input;
  return node;
}

function option(one, chosen) {
  const [value, label] = Array.isArray(one) ? one : [one, one];
  return el("option", { value, selected: value === chosen }, label);
}

/** Takes all mistakes away from the fields below a node. */
export function clearProblems(form) {
  for (const node of form.querySelectorAll(".problem")) node.remove();
  for (const node of form.querySelectorAll("[aria-invalid]")) node.removeAttribute("aria-invalid");
  for (const node of form.querySelectorAll(".wrong")) node.classList.remove("wrong");
}

/**
 * Shows what the server refused: each mistake at the field whose `data-pointer` is the longest beginning of its pointer,
 * all others on top of the form. The first field that is wrong gets the focus.
 */
export function showProblem(form, problem) {
  clearProblems(form);
  const fields = [...form.querySelectorAll("[data-pointer]")];
  const left = [];
  for (const { pointer, detail } of problem.errors ?? []) {
    const found = best(fields, pointer);
    if (found) mark(found, worded(found, found.dataset.pointer === pointer ? plain(pointer, detail) : `${rest(pointer, found)}: ${detail}`));
    else left.push(pointer ? `${pointer}: ${detail}` : detail);
  }
  const isTold = problem.errors?.length > 0 && left.length === 0;
  if (!isTold) left.unshift(problem.detail ?? String(problem));
  if (left.length) form.prepend(el("div", { class: "problem summary", role: "alert" }, left.map((one) => el("p", {}, one))));
  (form.querySelector("[aria-invalid]") ?? form.querySelector(".problem"))?.focus?.();
}

/** A sentence without the name of its field, which is the field that it stands at. */
function plain(pointer, detail) {
  const whole = pointer.slice(1).replaceAll("~1", "/").replaceAll("~0", "~").replaceAll("/", ".");
  const name = [`${whole}: `, `${whole.replace("space.", "")}: `].find((one) => detail.startsWith(one));
  return name ? detail.slice(name.length) : detail;
}

/** A sentence on a parameter with the words that stand in its line, and not with those of the API. */
function worded(found, sentence) {
  const words = new Map();
  for (const input of found.closest(".parameter")?.querySelectorAll("input, select") ?? []) {
    words.set(input.name, input.labels[0]?.textContent);
    if (input.name === "scale") for (const { value, text } of input.options) words.set(value, text);
  }
  return sentence.replace(/\b[a-z_]+\b/g, (word) => words.get(word) || word);
}

const rest = (pointer, found) => pointer.slice(found.dataset.pointer.length + 1) || pointer;

function best(fields, pointer) {
  const above = fields.filter(({ dataset }) => pointer === dataset.pointer || pointer.startsWith(`${dataset.pointer}/`));
  return above.sort((a, b) => b.dataset.pointer.length - a.dataset.pointer.length)[0];
}

function mark(node, detail) {
  const id = newId();
  const input = node.querySelector("input, select, textarea");
  node.classList.add("wrong");
  node.append(el("p", { class: "problem", id }, detail));
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
}

/**
 * A dialog with a form: `dialog({title, text, fields: [node], act: "Pause", danger, submit: async (FormData) => ..})`.
 * It closes when `submit` is done; what `submit` throws is shown in it. Answers with what `submit` gave, or null.
 */
export function dialog({ title, text = null, fields = [], act, danger = false, submit }) {
  return new Promise((resolve) => {
    const places = ancestors(document.activeElement);
    const id = newId();
    const button = el("button", { class: danger ? "danger" : "primary" }, act);
    const cancel = el("button", { type: "button", on: { click: () => node.close() } }, "Cancel");
    const form = el("form", { method: "dialog", novalidate: true }, el("h2", { id }, title), text && el("p", {}, text), fields, el("div", { class: "actions" }, button, cancel));
    const node = el("dialog", { "aria-labelledby": id, on: { close: () => (node.remove(), back(places), resolve(node.given ?? null)) } }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { ok, given } = await tried(form, button, () => (needFilled(form), submit(new FormData(form))));
      if (!ok) return;
      node.given = given ?? true;
      node.close();
    });
    document.body.append(node);
    node.showModal();
  });
}

/** Raises a problem for each field that must not be empty, and is. */
function needFilled(form) {
  const empty = [...form.querySelectorAll("[required]")].filter((one) => !one.value.trim());
  const errors = empty.map((one) => ({ pointer: one.closest("[data-pointer]").dataset.pointer, detail: "This must not be empty." }));
  if (errors.length) throw Object.assign(new Error(errors[0].detail), { detail: errors[0].detail, errors });
}

function ancestors(node) {
  const found = [];
  for (let one = node; one && one !== document.body; one = one.parentElement) found.push(one);
  return found;
}

/** The focus goes back to what opened a dialog; if that was drawn anew meanwhile, to what is in its place. */
function back([opener, ...around]) {
  if (!opener || (document.activeElement !== document.body && document.activeElement !== null)) return;
  if (opener.isConnected && opener.checkVisibility()) opener.focus();
  else focusIn(around.find((one) => one.isConnected) ?? document.body, opener.textContent);
}

/**
 * While `act` runs, the button does nothing. It is not disabled, which would take the focus from it. Gives null if it is
 * at work already.
 */
async function atWork(button, act) {
  if (button.getAttribute("aria-busy")) return null;
  button.setAttribute("aria-busy", "true");
  try {
    return await act();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** Runs `act` while its button waits; shows in the form what it throws. */
export async function tried(form, button, act) {
  return (await atWork(button, () => shownIn(form, act))) ?? { ok: false };
}

async function shownIn(form, act) {
  clearProblems(form);
  try {
    return { ok: true, given: await act() };
  } catch (problem) {
    showProblem(form, problem);
    return { ok: false };
  }
}

/** A button that does something with the server: it waits while this runs, and a refusal becomes a notice. */
export function actionButton(label, act, { primary = false, danger = false, quiet = false } = {}) {
  const kind = primary ? "primary" : danger ? "danger" : quiet ? "quiet" : null;
  const button = el("button", { type: "button", class: kind }, label);
  button.addEventListener("click", () => atWork(button, async () => {
    try {
      await act();
    } catch (problem) {
      toast(problem.detail ?? String(problem), { bad: true });
    }
  }));
  return button;
}

/** A short notice at the lower edge, which is read out. A bad one stays until it is closed. */
export function toast(sentence, { bad = false } = {}) {
  const close = el("button", { type: "button", class: "quiet", "aria-label": "Close", on: { click: () => node.remove() } }, "×");
  const node = el("div", { class: `toast${bad ? " bad" : ""}`, role: bad ? "alert" : null }, el("p", {}, sentence), close);
  const all = document.getElementById("toasts");
  all.append(node);
  while (all.children.length > 4) all.firstElementChild.remove();
  if (!bad) setTimeout(() => node.remove(), 5000);
  return node;
}

/** Shows a problem in place of a part of a page, with a button that tries again. */
export function failed(node, problem, again = null) {
  node.removeAttribute("aria-busy");
  const button = again && el("button", { type: "button", on: { click: again } }, "Try again");
  fill(node, el("div", { class: "problem summary", role: "alert" }, el("p", {}, problem.detail ?? String(problem)), button));
}
