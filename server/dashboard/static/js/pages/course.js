// The course: its rows that have a page, and how far the study of each is.

import { get } from "../api.js";
import { LESSONS } from "../course/lessons.js";
import { byId, el, fill, state } from "../dom.js";
import { failed } from "../forms.js";

const host = byId("course");

async function begin() {
  try {
    const { studies } = await get("/studies:overview");
    const known = new Map(studies.map((one) => [one.name, one]));
    fill(host, el("ol", { class: "lessons" }, LESSONS.map((lesson) => entry(lesson, known.get(lesson.study)))));
    host.removeAttribute("aria-busy");
  } catch (problem) {
    failed(host, problem, begin);
  }
}

function entry({ row, title, idea }, study) {
  const ended = study && study.state === "completed";
  const told = !study ? el("span", { class: "note" }, "not run yet") : ended ? state("complete", "run") : state(study.state === "active" ? "running" : study.state, study.state);
  return el("li", {},
    el("span", { class: "row-number", "aria-hidden": "true" }, String(row)),
    el("div", {}, el("h2", {}, el("a", { href: `/course/${row}` }, title)), el("p", {}, idea[0])),
    told);
}

begin();
