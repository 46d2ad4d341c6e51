// A row of the course: its idea, the study that shows it, run with one click, and the pictures of that study.

import { get, part } from "../api.js";
import { chart } from "../chart.js";
import { LESSONS, workerFor } from "../course/lessons.js";
import { again, begin, found, hasWorker, promote } from "../course/run.js";
import { byId, command, el, empty, fill, state } from "../dom.js";
import { count, number } from "../format.js";
import { actionButton, dialog, failed } from "../forms.js";
import { live } from "../live.js";

const EVERY_MS = 1500; // pictures follow no faster

const lesson = LESSONS.find((one) => String(one.row) === document.body.dataset.row);
const host = byId("lesson");
const path = `/studies/${part(lesson.study)}`;

const status = el("div", { class: "lesson-status", "aria-live": "polite" });
const pictures = el("div", { class: "grid" });
let charts = new Map();
let trials = [];
let stream = null;
let timer = null;

async function show() {
  try {
    const study = await found(lesson);
    if (host.getAttribute("aria-busy")) layOut();
    if (study === null) return void (await invite());
    trials = (await get(`${path}/rows`)).rows;
    await tell(study);
    await draw();
    stream ??= live(`${path}/stream`, { rows: later, study: later, caughtUp: later, gone: later, another: later });
  } catch (problem) {
    failed(host, problem, () => location.reload());
  }
}

/** After a change, but not after each: once in a while is enough for so few trials. */
function later() {
  timer ??= setTimeout(() => ((timer = null), show()), EVERY_MS);
}

function layOut() {
  host.removeAttribute("aria-busy");
  fill(host, lesson.idea.map((one) => el("p", { class: "prose" }, one)), status, pictures, neighbours());
}

async function invite() {
  stream?.close();
  stream = null;
  const run = actionButton("Run the study", async () => {
    await begin(lesson);
    await show();
  }, { primary: true });
  fill(status, el("div", { class: "actions" }, run, el("a", { href: `/static/course/${lesson.study}.json` }, "What it runs")));
  fill(pictures, empty("The pictures come with the first results."));
  charts = new Map();
}

async function tell(study) {
  const ended = ["complete", "pruned", "diverged", "failed", "cancelled"].reduce((n, one) => n + (study.counts[one] ?? 0), 0);
  const all = Math.max(study.budget.max_trials, ended);
  const shown = study.state === "completed" ? state("complete", "done") : state(study.state === "active" ? "running" : study.state, study.state);
  const best = study.best ? `, the best ${study.metric} is ${number(study.best.value)}` : "";
  const line = el("div", { class: "actions" }, shown, el("span", {}, `${ended} of ${count(all, "trial")}${best}`), el("a", { href: `/studies/${part(lesson.study)}` }, "Its page"), anew(study));
  const waits = study.state === "active" && !(study.counts.running > 0) && !(await hasWorker(study.task.kind));
  fill(status, line, waits && [el("p", {}, "No worker is there that runs it. In a terminal:"), command(workerFor(lesson))], onward(study));
}

const anew = (study) => study.state !== "active" && el("button", { type: "button", class: "quiet", on: { click: () => runAgain() } }, "Run it again");

/** What can be done when the study has ended; nothing for most. */
function onward(study) {
  if (!lesson.promote || study.state !== "completed" || trials.some((row) => row.mode === "panda")) return null;
  const button = actionButton("Let the best go on as a panda", async () => {
    await promote(lesson);
    later();
  }, { primary: true });
  return el("div", { class: "actions" }, button);
}

async function runAgain() {
  const text = `The study ${lesson.study} is deleted with all its trials, and made again.`;
  const done = await dialog({ title: "Run it again?", text, act: "Delete and run again", danger: true, submit: () => again(lesson) });
  if (!done) return;
  stream?.close();
  stream = null;
  charts = new Map();
  fill(pictures);
  await show();
}

async function draw() {
  if (!trials.some((row) => row.score !== null && row.score !== undefined)) {
    if (!charts.size) fill(pictures, empty("The pictures come with the first results."));
    return;
  }
  if (!charts.size) fill(pictures);
  const drawn = lesson.pictures.map((one) => picture(`${one.kind}?${one.query ?? ""}`, `${path}/plots/${one.kind}?${one.query ?? ""}`, one.title, one.width));
  if (lesson.trials) for (const row of trials.filter((one) => one.state === "complete")) drawn.push(ofTrial(row));
  await Promise.all(drawn);
}

function ofTrial(row) {
  const { kind, title, link } = lesson.trials;
  const page = el("a", { href: `${path}/trials/${row.number}` }, link ?? "Its page");
  return picture(`trial ${row.number}`, `${path}/trials/${row.number}/plots/${kind}`, title(row), null, page);
}

/** A picture, or if it is there the same with the data of now. The page has its title. */
async function picture(key, path_, title, width = null, more = null) {
  if (charts.has(key) && more) return; // that of a trial, which has ended
  const known = charts.get(key);
  const node = known?.element ?? el("div", { class: "broad", tabindex: "0" });
  if (!known) {
    charts.set(key, { element: node, respec() {} });
    pictures.append(el("section", { class: width }, el("div", { class: "heading" }, el("h2", {}, title), more && el("div", { class: "actions" }, more)), node));
  }
  const { title: _title, ...spec } = await get(path_);
  if (known) known.respec(spec);
  else charts.set(key, chart(node, spec, {}, { label: title }));
}

function neighbours() {
  const at = LESSONS.indexOf(lesson);
  const link = (one, before, after) => one && el("a", { href: `/course/${one.row}` }, before, one.title, after);
  return el("nav", { class: "neighbours", "aria-label": "Other rows" }, el("span", {}, link(LESSONS[at - 1], "← ", "")), el("span", {}, link(LESSONS[at + 1], "", " →")));
}

show();
