// Light and dark, and what pictures need to know of it. Colours are written once, in sturgeon.css.

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

/** The config of Vega and Vega-Lite: our fonts, sizes and colours of everything that is no mark. */
export function vegaConfig() {
  const [ink, muted, line, accent] = ["--text", "--muted", "--line", "--accent"].map(colour);
  const style = getComputedStyle(document.body);
  const font = style.fontFamily;
  const size = Math.round(parseFloat(style.fontSize) * 0.8);
  const text = { labelFont: font, titleFont: font, labelFontSize: size, titleFontSize: size, labelColor: muted };
  return {
    background: "transparent",
    font,
    mark: { color: accent },
    text: { fill: ink, font, fontSize: size },
    title: { color: ink, subtitleColor: muted, font, fontSize: size + 1, fontWeight: 600, anchor: "start" },
    view: { stroke: null },
    axis: { ...text, titleColor: muted, titleFontWeight: 400, domainColor: line, tickColor: line, gridColor: line },
    header: { ...text, titleColor: ink },
    legend: { ...text, titleColor: muted, titleFontWeight: 400 },
  };
}
