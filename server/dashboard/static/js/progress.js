// How far a study has come, by what became of its trials.

import { el } from "./dom.js";

const ENDED = ["complete", "pruned", "diverged", "failed", "cancelled"];

/** How many trials have ended. */
export const ended = (counts) => ENDED.reduce((sum, name) => sum + (counts[name] ?? 0), 0);

/** A bar of `{counts, max_trials}`, with the same in words. */
export function progress({ counts, max_trials: most }) {
  const bar = el("span", { class: "progress", role: "img", "aria-label": spoken(counts, most) });
  for (const name of [...ENDED, "running", "paused"]) {
    if (!counts[name]) continue;
    const piece = el("span", { class: name });
    piece.style.width = `${(100 * counts[name]) / Math.max(most, 1)}%`;
    bar.append(piece);
  }
  return bar;
}

function spoken(counts, most) {
  const states = Object.entries(counts).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`);
  return `${ended(counts)} of ${most} trials have ended: ${states.join(", ") || "none yet"}`;
}
