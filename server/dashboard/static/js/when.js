// A date as how long ago it was, which stays true while the page is open.

import { el, text } from "./dom.js";
import { ago, time } from "./format.js";

const EVERY_MS = 15_000;

/** "5 min ago", with the date itself on top of it. */
export function when(date) {
  if (!date) return "–";
  return el("time", { datetime: date, title: time(date), data: { ago: "" } }, ago(date));
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll("time[data-ago]")) text(node, ago(node.dateTime));
}, EVERY_MS);
