// Trials of a study side by side: where they differ, what they came to, and their curves in one picture.

import { get, part } from "../api.js";
import { chart } from "../chart.js";
import { byId, el, empty, fill, state } from "../dom.js";
import { failed, toast } from "../forms.js";
import { duration, number, time, value } from "../format.js";
import { live } from "../live.js";
import { bestOf, key, numbersIn, rowsOf, specOf } from "../sides.js";

const { study } = document.body.dataset;
const path = `/studies/${part(study)}`;
const host = byId("compare");
const trials = new Map(); // by number
let chosen = numbersIn(new URLSearchParams(location.search).get("trials") ?? "");
let about = null;
let picture = null;
let timer = null;

const input = el("input", { type: "text", inputmode: "numeric", "aria-label": "Numbers of trials", placeholder: "3, 7, 12", autocomplete: "off" });
const form = el("form", { class: "toolbar", on: { submit: (event) => (event.preventDefault(), choose(numbersIn(input.value))) } },
  el("div", { class: "search" }, input), el("button", { class: "primary" }, "Compare"));
const metric = el("select", { "aria-label": "Metric of the curves", on: { change: drawCurves } });
const log = el("input", { type: "checkbox", id: "log", on: { change: async () => picture?.respec(await specOf(spec())) } });
const curves = el("div", { class: "tall" });
const curvesSection = el("section", { id: "curves", "aria-labelledby": "curves-title" },
  el("div", { class: "heading" }, el("h2", { id: "curves-title" }, "Curves"), el("div", { class: "actions" }, el("label", { class: "check", for: "log" }, log, "log scale"), metric)), curves);
const sides = el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Trials side by side, scrolls sideways" });
const same = el("input", { type: "checkbox", id: "same", on: { change: drawSides } });
const tableSection = el("section", { id: "sides", "aria-labelledby": "sides-title" },
  el("div", { class: "heading" }, el("h2", { id: "sides-title" }, "Side by side"), el("div", { class: "actions" }, el("label", { class: "check", for: "same" }, same, "also what is the same"))), sides);
const none = el("div");

const spec = () => `/pictures/curves.json?scale=${log.checked ? "log" : "linear"}`;

/** Other trials: the address tells them, so that it can be sent to somebody. */
function choose(numbers) {
  chosen = numbers;
  history.replaceState(null, "", `?trials=${chosen.join()}`);
  input.value = chosen.join(", ");
  load();
}

async function load() {
  try {
    about ??= await get(path);
    const asked = await Promise.allSettled(chosen.map((n) => get(`${path}/trials/${n}`)));
    const away = chosen.filter((_, i) => asked[i].status === "rejected");
    asked.forEach((one, i) => one.status === "fulfilled" && trials.set(chosen[i], one.value));
    chosen = chosen.filter((n) => !away.includes(n));
    if (away.length) toast(`${study} has no trial ${away.join(", ")}.`, { bad: true });
    draw();
  } catch (problem) {
    failed(host, problem, problem.status === 404 ? null : load);
    if (problem.status === 404) host.append(el("p", {}, el("a", { href: "/" }, "All studies")));
  }
}

function draw() {
  host.removeAttribute("aria-busy");
  if (form.parentNode !== host) fill(host, form, none, curvesSection, tableSection);
  const isEmpty = chosen.length === 0;
  [curvesSection.hidden, tableSection.hidden] = [isEmpty, isEmpty];
  fill(none, isEmpty && empty(`Write the numbers of some trials of ${study}, or choose them in its table.`, el("p", {}, el("a", { href: `/studies/${part(study)}` }, `The trials of ${study}`))));
  if (isEmpty) return;
  drawSides();
  drawMetrics();
  drawCurves();
}

const every = () => chosen.map((n) => trials.get(n));

function drawSides() {
  const all = every();
  const less = about.direction !== "maximize";
  const head = el("tr", {}, el("td", {}), all.map((one, i) => el("th", { scope: "col" }, key(i), el("a", { href: `/studies/${part(study)}/trials/${one.number}` }, `Trial ${one.number}`), " ",
    el("button", { type: "button", class: "quiet", "aria-label": `Leave out trial ${one.number}`, on: { click: () => choose(chosen.filter((n) => n !== one.number)) } }, "×"))));
  const plain = (name, cells, best = []) => el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell, i) => el("td", { class: best.includes(i) ? "best" : null }, cell ?? "–")));
  const values = all.map((one) => one.value);
  const rows = [
    plain("State", all.map((one) => state(one.state, one.invalid ? `${one.state}, invalid` : one.state))),
    plain(about.metric, values.map((one) => number(one)), bestOf(values, less)),
    group("Parameters", all), ...objects(all.map((one) => ({ ...one.params, ...one.desired?.params })), value),
    group("Metrics of the result", all), ...objects(all.map(metricsOf), number),
    group("Runs", all), plain("Worker", all.map((one) => one.worker)), plain("Kind", all.map((one) => one.mode)), plain("Began", all.map((one) => time(one.started_at))), plain("Training time", all.map((one) => duration(one.metrics.seconds))),
  ];
  fill(sides, el("table", { class: "sides" }, el("thead", {}, head), el("tbody", {}, rows)));
}

const group = (name, all) => el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: all.length + 1 }, name));
const metricsOf = ({ metrics }) => Object.fromEntries(Object.entries(metrics).filter(([name]) => name !== "seconds"));

function objects(given, shown) {
  const rows = rowsOf(given).filter((row) => row.differs || same.checked || given.length < 2);
  const tr = (row) => el("tr", { class: row.differs ? null : "same" }, el("th", { scope: "row" }, row.name), row.values.map((one) => el("td", {}, one === undefined ? "–" : shown(one))));
  return rows.length ? rows.map(tr) : [el("tr", { class: "same" }, el("th", { scope: "row" }, "no difference"), given.map(() => el("td", {})))];
}

/** What the trials have reported, the study's metric first. */
function drawMetrics() {
  const names = new Set([about.metric, ...every().flatMap((one) => Object.keys(one.metrics))]);
  const shown = [...names].filter((name) => name !== "epoch").join();
  if (shown === metric.dataset.shown) return;
  metric.dataset.shown = shown;
  const before = metric.value || about.metric;
  fill(metric, shown.split(",").map((name) => el("option", { value: name, selected: name === before }, name)));
}

async function drawCurves() {
  try {
    const answer = await get(`${path}/curves?points=400&metric=${part(metric.value)}&numbers=${chosen.join()}`);
    const points = answer.curves.flatMap((one) => one.epochs.map((epoch, i) => ({ place: chosen.indexOf(one.number), name: `Trial ${one.number}`, epoch, value: one.values[i] })));
    curvesSection.hidden = points.length === 0 && metric.value === about.metric;
    if (picture) picture.replace("curves", points);
    else picture = chart(curves, await specOf(spec()), { curves: points }, { label: `${metric.value} of the trials while they trained` });
  } catch (problem) {
    toast(problem.detail, { bad: true });
  }
}

input.value = chosen.join(", ");
load();
live(`${path}/stream`, {
  rows: (data) => {
    if ((data.rows ?? data).some((row) => chosen.includes(row.number))) timer ??= setTimeout(() => ((timer = null), load()), 1000);
  },
  caughtUp: load,
});
