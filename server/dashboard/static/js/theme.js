// Light and dark, and what pictures need to know of it. The colours are in sturgeon.css; pictures have the same.

const KEY = "sturgeon.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

/** "dark" or "light": what the person chose, else what the system says. */
export function theme() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

/** Changes to the other theme, and keeps it in this browser. */
export function toggle() {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage it lasts as long as the page.
  }
  for (const f of listeners) f(next);
}

/** Calls `f` with the theme whenever it changes; gives the function that ends this. */
export function onTheme(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}

dark.addEventListener("change", () => {
  if (!document.documentElement.dataset.theme) for (const f of listeners) f(theme());
});

/** A custom property of the style sheet: `colour("--accent")`. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The configuration of pictures for each theme, from the server, which has it for pictures in files, too. */
let themes = null;

/** Asks for it, once: where there will be pictures, before the first is drawn. */
export function themesOfPictures() {
  return (themes ??= fetch("/static/vega-themes.json").then((answer) => answer.json()));
}

/** The config of Vega and Vega-Lite in the present theme: all colours of marks, and our font at the size of the page. */
export async function vegaConfig() {
  const config = structuredClone((await themesOfPictures())[theme()]);
  const style = getComputedStyle(document.body);
  const font = style.fontFamily;
  const size = Math.round(parseFloat(style.fontSize) * 0.8);
  const text = { labelFont: font, titleFont: font, labelFontSize: size, titleFontSize: size };
  for (const part of ["axis", "header", "legend"]) Object.assign(config[part], text);
  Object.assign(config.title, { font, subtitleFont: font });
  config.text.font = font;
  return { ...config, background: "transparent", padding: 2, font };
}
