// What a study has come to: its state, how far it is, the best and the recommended trial.

import { get, part } from "../api.js";
import { coded, el, patched, state } from "../dom.js";
import { count, duration, integer, number, percent, value } from "../format.js";
import { ended, progress } from "../progress.js";

const BEST_EVERY_MS = 2000;

export class Summary {
  /** `onStudy(study)` is called with each newer study. */
  constructor(path, study, onStudy) {
    Object.assign(this, { path, study, onStudy, best: null, asked: 0 });
    this.facts = el("dl", { class: "facts" });
    this.notices = el("div", { class: "notices", role: "status" });
    this.node = el("div", { class: "summary-line" }, this.facts, this.notices);
    this.take(study);
    this.#ask();
  }

  take(study) {
    const isNew = this.study.best?.number !== study.best?.number || ended(this.study.counts) !== ended(study.counts);
    this.study = study;
    this.#draw();
    this.onStudy(study);
    if (isNew) this.timer ??= setTimeout(() => ((this.timer = null), this.#ask()), BEST_EVERY_MS);
  }

  async #ask() {
    this.best = await get(`${this.path}/best?k=1`).catch(() => this.best);
    this.#draw();
  }

  #draw() {
    const { counts, budget, spent, metric } = this.study;
    const left = ["running", "queued", "paused"].filter((name) => counts[name]).map((name) => `${integer(counts[name])} ${name}`);
    const limits = [budget.max_epochs && `${number(spent.epochs)} of ${number(budget.max_epochs)} epochs`, budget.max_seconds && `${duration(spent.seconds)} of ${duration(budget.max_seconds)}`].filter(Boolean);
    const bar = progress({ counts, max_trials: budget.max_trials });
    patched(this.facts,
      fact("Trials", `${integer(ended(counts))} of ${integer(budget.max_trials)}`, bar, note([...left, ...limits].join(" · ") || losses(counts))),
      fact(`Best ${metric}`, number(this.study.best?.value), this.study.best && note(this.#trial(this.study.best.number))),
      fact("Worker time", duration(spent.seconds), note(`${number(spent.epochs)} epochs`)), this.#recommended());
    this.#notice();
  }

  #recommended() {
    const found = this.best?.recommended;
    if (!found) return null;
    const same = found.number === this.study.best?.number;
    const params = Object.entries(found.params).slice(0, 6).map(([name, one]) => `${name} ${value(one)}`).join(", ");
    return el("div", { class: "wide" }, el("dt", {}, "Recommended"), el("dd", {}, this.#trial(found.number), same ? ", the best" : `, ${number(found.value)}`, note(coded(found.why)), this.best.verdict ? note(this.best.verdict) : null, note(params)));
  }

  #trial(n) {
    return el("a", { href: `${this.path}/trials/${part(n)}` }, `trial ${n}`);
  }

  #notice() {
    const { waits_for: waits, unable, counts } = this.study;
    const failed = counts.failed ?? 0;
    const sentences = [
      waits,
      ...unable.slice(0, 3).map((one) => `${one.worker} cannot run it: ${one.reason}`),
      failed > 2 && failed / Math.max(1, ended(counts)) > 0.2 ? `${percent(failed / ended(counts))} of the trials that ended have failed; the column Error says why.` : null,
    ].filter(Boolean);
    patched(this.notices, sentences.map((one) => el("p", { class: "notice" }, coded(one))));
  }
}

const note = (...children) => el("span", { class: "note" }, children);
const fact = (name, shown, ...more) => el("div", {}, el("dt", {}, name), el("dd", {}, shown, more));
const losses = (counts) => ["pruned", "diverged", "failed", "cancelled"].filter((name) => counts[name]).map((name) => `${integer(counts[name])} ${name}`).join(" · ");

/** The heading of the page: the study's name with its state, its title, and its tags. */
export function heading(node, study) {
  const h1 = node.querySelector("h1");
  const [before, now] = [node.querySelector(".state"), state(study.state)];
  if (!before) h1.after(now);
  else if (!before.isEqualNode(now)) before.replaceWith(now);
  document.title = `${study.best ? `${number(study.best.value)} · ` : ""}${study.name} · Sturgeon`;
  const words = [study.title, `${study.direction} ${study.metric}`, study.search.sampler.replaceAll("_", " "), study.search.replicates > 1 ? count(study.search.replicates, "replicate") : null].filter(Boolean);
  const line = document.getElementById("about") ?? el("p", { id: "about", class: "about" });
  const tags = study.tags.length ? [" ", el("span", { class: "tags" }, study.tags.map((tag) => el("span", { class: "tag" }, tag)))] : [];
  const next = el("p", { id: "about", class: "about" }, words.join(" · "), tags);
  if (!line.isEqualNode(next)) line.replaceChildren(...next.childNodes);
  if (!line.isConnected) node.after(line);
}
