// Builds elements. Text only ever becomes text nodes, so nothing that a person wrote can become markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "open", "indeterminate"]);

/**
 * An element: `el("a", {class: "x", href: "/", on: {click: f}, data: {n: 1}}, "text", child, [more])`.
 * Attributes that are null, undefined or false are left out; so are such children.
 */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** The same, of SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || (value === false && !PROPERTIES.has(name))) continue;
    if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(name) && name in node) node[name] = value;
    else if (name === "href" || name === "src" || name === "action") node.setAttribute(name, local(value));
    else if (name === "style" || /^on/.test(name)) throw new Error(`${name} is no attribute that a page sets`);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...wanted(children));
  return node;
}

/** An address of this server, or of a place in this page: a `javascript:` never gets into a link. */
export function local(address) {
  if (!/^(\/(?!\/)|#|blob:|data:image\/)/.test(address)) throw new Error(`Not a local address: ${address}`);
  return address;
}

function wanted(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts children in place of those that a node has. */
export function fill(node, ...children) {
  node.replaceChildren(...wanted(children));
  return node;
}

/**
 * Draws a part of the page anew. If the focus was in it, it is again: on the control of the same words, or on the first
 * one; on `main` if there is none.
 */
export function redrawn(node, draw) {
  const before = document.activeElement;
  const isIn = node.contains(before);
  draw();
  if (isIn && !before.isConnected) focusIn(node, before.textContent);
}

/** Puts the focus on a control in a node. */
export function focusIn(node, words = "") {
  const controls = [...node.querySelectorAll("button, summary, a[href], input, select, textarea")].filter((one) => one.checkVisibility?.() ?? true);
  (controls.find((one) => one.textContent === words) ?? controls[0] ?? byId("main")).focus();
}

/** Puts children without listeners in place of those that a node has; those that are the same stay, with focus and selection. */
export function patched(node, ...children) {
  const after = wanted(children);
  const before = [...node.childNodes];
  if (after.length !== before.length) return redrawn(node, () => node.replaceChildren(...after));
  return redrawn(node, () => after.forEach((one, i) => before[i].isEqualNode(one) || before[i].replaceWith(one)));
}

/** Sets a text only if it is another one, so that nothing is laid out for nothing and a selection stays. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
  return node;
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

// The same signs as in pictures (sturgeon/plots/theme.py).
const MARKS = {
  queued: "M2.5 2.5h7v7h-7z",
  running: "M6 1l5 5-5 5-5-5z",
  paused: "M2.5 2h2.5v8h-2.5zM7 2h2.5v8h-2.5z",
  complete: "M6 2a4 4 0 1 0 .01 0z",
  pruned: "M6 10.5l5-9h-10z",
  diverged: "M6 1.5l5 9h-10z",
  failed: "M2 3.4l1.4-1.4 2.6 2.6 2.6-2.6 1.4 1.4-2.6 2.6 2.6 2.6-1.4 1.4-2.6-2.6-2.6 2.6-1.4-1.4 2.6-2.6z",
  cancelled: "M1.5 5h9v2h-9z",
  active: "M6 1l5 5-5 5-5-5z",
  completed: "M6 2a4 4 0 1 0 .01 0z",
  stopped: "M2 2h8v8h-8z",
};

/** A state of a trial or a study: its shape, its colour and its word, so that colour is never the only sign. */
export function state(name, label = name) {
  const mark = svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: MARKS[name] ?? MARKS.queued }));
  return el("span", { class: `state state-${name}` }, mark, el("span", {}, label));
}

/** A sentence of the server, in which code stands between backticks. */
export const coded = (sentence) => sentence.split("`").map((one, i) => (i % 2 ? el("code", {}, one) : one));

/** A command to copy. */
export function command(line) {
  const copy = el("button", { type: "button", class: "quiet", on: { click: () => put(line, copy) } }, "Copy");
  return el("div", { class: "command" }, el("code", { tabindex: "0" }, line), copy);
}

async function put(line, button) {
  try {
    await navigator.clipboard.writeText(line);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling); // no clipboard without https: Ctrl+C takes it
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

/** What a page says where there is nothing yet, and what to do about it. */
export function empty(sentence, ...more) {
  return el("div", { class: "empty" }, el("p", {}, sentence), more);
}
