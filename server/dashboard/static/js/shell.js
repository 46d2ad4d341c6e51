// What every page has: the theme's switch and the banner.

import { el, fill } from "./dom.js";
import { toggle } from "./theme.js";

document.getElementById("theme")?.addEventListener("click", toggle);

const banner = document.getElementById("banner");

/** One sentence across the page, with a button if there is something to do about it. */
export function showBanner(sentence, action = null) {
  const button = action && el("button", { type: "button", class: "quiet", on: { click: action.act } }, action.label);
  fill(banner, el("p", {}, sentence), button);
  banner.hidden = false;
}

/** Takes the banner away. */
export function hideBanner() {
  banner.hidden = true;
  fill(banner);
}
