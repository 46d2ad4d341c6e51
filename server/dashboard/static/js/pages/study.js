// A study: its summary, its pictures, its trials, its events, and what can be done to it.

import { get, part } from "../api.js";
import { byId, el, fill } from "../dom.js";
import { failed } from "../forms.js";
import { live } from "../live.js";
import { Rows } from "../rows.js";
import { Actions } from "../study/actions.js";
import { Events } from "../study/events.js";
import { Pictures } from "../study/pictures.js";
import { heading, Summary } from "../study/summary.js";
import { Trials } from "../study/trials.js";

const name = document.body.dataset.study;
const host = byId("study");
const path = `/studies/${part(name)}`;

class Page {
  constructor(study, table) {
    this.rows = new Rows(table);
    this.revision = study.revision;
    this.head = document.querySelector(".heading");
    this.actions = new Actions(path, study, (changed) => this.take(changed));
    this.head.append(this.actions.node);
    this.summary = new Summary(path, study, (changed) => heading(this.head, changed));
    this.trials = new Trials(path, this.rows, { onSelect: (numbers) => this.pictures.select(numbers) });
    this.pictures = new Pictures(path, this.rows, (numbers) => this.trials.only(numbers?.length ? numbers : null));
    this.events = new Events(path);
    fill(host, this.summary.node, this.pictures.above, this.trials.node, this.pictures.below, this.events.node);
    host.removeAttribute("aria-busy");
    host.page = this; // for those who look from the console
    this.live = live(`${path}/stream`, {
      rows: (changed) => (this.waiting ? this.waiting.push(changed) : this.takeRows(changed)),
      study: (changed) => this.take(changed),
      events: (more) => this.events.take(more.items ?? more),
    }, { since: table.cursor });
  }

  takeRows(changed) {
    if (changed.complete) this.rows.replace(changed);
    else this.rows.apply(changed.rows);
  }

  take(study) {
    this.actions.take(study);
    this.summary.take(study);
    if (study.revision !== this.revision) this.#revised(study.revision);
  }

  /** Another space has other columns and other pictures. What the stream brings meanwhile is newer than the answer. */
  async #revised(revision) {
    this.revision = revision;
    this.waiting ??= [];
    this.asked = (this.asked ?? 0) + 1;
    try {
      this.rows.replace(await get(`${path}/rows`));
      this.trials.revised();
      this.pictures.revised();
    } catch {
      this.revision = null; // the study is told again, at the latest when the server is back
    } finally {
      this.asked -= 1;
      if (!this.asked) {
        for (const changed of this.waiting) this.takeRows(changed);
        this.waiting = null;
      }
    }
  }
}

async function begin() {
  try {
    const [study, table] = await Promise.all([get(path), get(`${path}/rows`)]);
    new Page(study, table);
  } catch (problem) {
    failed(host, problem, problem.status === 404 ? null : begin);
    if (problem.status === 404) host.append(el("p", {}, el("a", { href: "/" }, "All studies")));
  }
}

begin();
