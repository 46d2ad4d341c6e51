// A study: its summary, its pictures, its trials, its events, and what can be done to it.

import { get, part } from "../api.js";
import { byId, el, fill } from "../dom.js";
import { failed } from "../forms.js";
import { live } from "../live.js";
import { Rows } from "../rows.js";
import { Trials } from "../study/trials.js";
import { Pictures } from "../study/pictures.js";
import { Summary } from "../study/summary.js";
import { Events } from "../study/events.js";

const name = document.body.dataset.study;
const host = byId("study");

async function begin() {
  const path = `/studies/${part(name)}`;
  try {
    const [study, table] = await Promise.all([get(path), get(`${path}/rows`)]);
    const rows = new Rows(table);
    const summary = new Summary(path, study, rows);
    const trials = new Trials(path, rows);
    const pictures = new Pictures(path, study, rows, (numbers) => trials.only(numbers));
    const events = new Events(path);
    fill(host, summary.node, pictures.first, trials.node, pictures.more, events.node);
    host.removeAttribute("aria-busy");
    live(`${path}/stream`, {
      rows: (changed) => rows.apply(changed.rows ?? changed),
      study: (changed) => summary.take(changed),
      events: (more) => events.take(more),
    }, { since: table.cursor });
  } catch (problem) {
    failed(host, problem, problem.status === 404 ? null : begin);
    if (problem.status === 404) host.append(el("p", {}, el("a", { href: "/" }, "All studies")));
  }
}

begin();
