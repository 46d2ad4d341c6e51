// The list of studies: what each has come to, live.

import { all, get, part } from "../api.js";
import { byId, command, el, empty, fill, state, svg, text } from "../dom.js";
import { ago, count, integer, number } from "../format.js";
import { failed } from "../forms.js";
import { live } from "../live.js";
import { ended, progress } from "../progress.js";
import { table } from "../table.js";

const host = byId("studies");
const isNarrow = matchMedia("(max-width: 40rem)").matches;

/** A line of the best so far, without axes: how it falls, not how far. */
function spark(values) {
  if (values.length < 2) return "";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (i) => (100 * i) / (values.length - 1);
  const y = (value) => 21 - (18 * (value - low)) / (high - low || 1);
  const d = values.map((value, i) => `${i ? `H${x(i).toFixed(1)}V` : `M0 `}${y(value).toFixed(1)}`).join("");
  return svg("svg", { class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": `Best from ${number(values[0])} to ${number(values.at(-1))}` }, svg("path", { d }));
}

const COLUMNS = [
  { id: "name", label: "Study", width: isNarrow ? 12 : 19, value: (s) => s.name, cell: (s) => s.name },
  { id: "state", label: "State", width: 11, value: (s) => s.state, cell: (s) => state(s.state) },
  { id: "progress", label: "Progress", width: isNarrow ? 6 : 13, value: (s) => ended(s.counts) / s.max_trials, cell: (s) => progress(s) },
  { id: "trials", label: "Trials", width: 13, end: true, value: (s) => ended(s.counts), cell: (s) => `${integer(ended(s.counts))} / ${integer(s.max_trials)}` },
  { id: "best", label: "Best", width: isNarrow ? 8 : 18, end: true, value: (s) => s.best, cell: (s) => (isNarrow || s.best == null ? number(s.best) : [el("span", { class: "note" }, `${s.objective} `), number(s.best)]) },
  { id: "objective", label: "Metric", width: 12, hidden: true, value: (s) => s.objective },
  { id: "spark", label: "Best so far", width: 12, sortable: false, value: () => null, cell: (s) => spark(s.sparkline) },
  { id: "workers", label: "Workers", width: 6, end: true, value: (s) => s.workers, cell: (s) => (s.workers ? integer(s.workers) : "") },
  { id: "tags", label: "Tags", width: 14, value: (s) => s.tags.join(" "), cell: (s) => tagList(s.tags) },
  { id: "title", label: "Title", width: 30, hidden: true, value: (s) => s.title },
  { id: "created", label: "Created", width: 11, hidden: true, value: (s) => s.created_at, cell: (s) => ago(s.created_at), ages: true },
  { id: "changed", label: "Changed", width: 11, end: true, value: (s) => s.changed_at, cell: (s) => ago(s.changed_at), ages: true },
];
if (isNarrow) for (const one of COLUMNS) one.hidden = !["name", "progress", "best"].includes(one.id);

const tagList = (tags) => el("span", { class: "tags" }, tags.map((tag) => el("span", { class: "tag" }, tag)));

class Page {
  constructor({ studies, cursor }) {
    this.studies = new Map(studies.map((study) => [study.name, study]));
    this.tags = new Set();
    this.search = el("input", { type: "search", placeholder: "Search names, titles, tags", "aria-label": "Search studies", on: { input: () => this.draw() } });
    this.states = el("select", { "aria-label": "State", on: { change: () => this.draw() } }, [["", "All states"], ["active", "Active"], ["paused", "Paused"], ["completed", "Completed"], ["stopped", "Stopped"], ["cancelled", "Cancelled"]].map(([value, label]) => el("option", { value }, label)));
    this.states.className = "short";
    this.tagBar = el("div", { class: "tags", role: "group", "aria-label": "Tags" });
    this.amount = el("span", { class: "amount", role: "status" });
    this.workers = el("a", { class: "amount", href: "/workers" });
    const list = el("div", { id: "studies-table" });
    this.table = table(list, { label: "Studies", storage: isNarrow ? "studies-narrow" : "studies", columns: COLUMNS, key: (s) => s.name, href: (s) => `/studies/${part(s.name)}`, sort: { id: "created", descending: true }, empty: el("p", { class: "empty" }, "No study fits. Take a word out of the search, or a tag.") });
    fill(host, el("div", { class: "toolbar" }, el("div", { class: "search" }, this.search), this.states, this.table.chooser, this.amount, this.workers), this.tagBar, list);
    host.removeAttribute("aria-busy");
    this.draw();
    this.drawWorkers();
    live("/stream", { studies: (changed) => this.take(changed), workers: () => this.drawWorkers(), caughtUp: () => this.reload() }, { since: cursor });
    setInterval(() => document.hidden || this.drawWorkers(), 30_000);
  }

  take(data) {
    if (data.complete) this.studies.clear();
    for (const study of data.studies ?? data) this.studies.set(study.name, study);
    for (const name of data.gone ?? []) this.studies.delete(name);
    this.draw();
  }

  async reload() {
    const { studies } = await get("/studies:overview");
    this.studies = new Map(studies.map((study) => [study.name, study]));
    this.draw();
  }

  draw() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...this.studies.values()].filter((study) => {
      const texts = `${study.name} ${study.title} ${study.objective} ${study.tags.join(" ")}`.toLowerCase();
      const hasTags = [...this.tags].every((tag) => study.tags.includes(tag));
      return hasTags && (!this.states.value || study.state === this.states.value) && words.every((one) => texts.includes(one));
    });
    this.table.show(wanted);
    const total = this.studies.size;
    text(this.amount, wanted.length === total ? count(total, "study", "studies") : `${integer(wanted.length)} of ${count(total, "study", "studies")}`);
    this.drawTags();
  }

  drawTags() {
    const tags = [...new Set([...this.studies.values()].flatMap((study) => study.tags))].sort();
    const signature = JSON.stringify([tags, [...this.tags]]);
    if (signature === this.tagSignature) return;
    this.tagSignature = signature;
    const press = (tag) => {
      if (!this.tags.delete(tag)) this.tags.add(tag);
      this.draw();
    };
    fill(this.tagBar, tags.slice(0, 60).map((tag) => el("button", { type: "button", class: "tag", "aria-pressed": String(this.tags.has(tag)), on: { click: () => press(tag) } }, tag)));
  }

  async drawWorkers() {
    const workers = (await all("/workers").catch(() => [])).filter((worker) => !worker.gone);
    const [slots, running] = ["slots", "running"].map((name) => workers.reduce((sum, worker) => sum + worker[name], 0));
    text(this.workers, workers.length ? `${count(workers.length, "worker")}: ${count(running, "trial")} in ${count(slots, "slot")}` : "No worker is here");
  }
}

async function begin() {
  try {
    const overview = await get("/studies:overview");
    if (overview.studies.length) new Page(overview);
    else {
      fill(host, empty("There is no study yet. Make one here, or run the demo:", command("sturgeon demo"), el("p", {}, "A study needs a worker that runs its trials:"), command(`sturgeon worker --server ${location.origin}`)));
      host.removeAttribute("aria-busy");
      const first = live("/stream", { studies: () => (first.close(), begin()) }, { since: overview.cursor });
    }
  } catch (problem) {
    failed(host, problem, begin);
  }
}

begin();
