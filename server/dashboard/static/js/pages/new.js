// A new study, from a form or from a file.

import { get, part, readText, send } from "../api.js";
import { byId, el, fill } from "../dom.js";
import { clearProblems, field, showProblem, toast, tried } from "../forms.js";
import { SpacePreview } from "../preview.js";
import { SpaceEditor, written } from "../space.js";
import { lineOf } from "../yaml.js";

const FIRST = {
  learning_rate: { type: "float", low: 1e-4, high: 0.1, scale: "log" },
  hidden_units: { type: "int", low: 16, high: 128 },
  batch_size: { type: "choice", values: [32, 64, 128], ordered: true },
};
const TASKS = [["train", "The built-in trainer"], ["none", "My own code asks for trials and tells results"], ["command", "Workers run a program"], ["python", "Workers call a Python function"]];
const DATASETS = ["digits", "breast_cancer", "wine", "iris", "diabetes", "mnist_5k"];

/** What is filled in becomes the request; an empty field is left out. */
function compact(object) {
  return Object.fromEntries(Object.entries(object).filter(([, one]) => one !== "" && one !== undefined && one !== null));
}

class Form {
  constructor() {
    this.preview = new SpacePreview();
    this.space = new SpaceEditor({ space: FIRST, onChange: () => this.soon() });
    this.fields = {
      name: field({ label: "Name", name: "name", required: true, note: "Letters, digits and . _ -; part of the address of its page." }),
      title: field({ label: "Title", name: "title" }),
      metric: field({ label: "Metric", name: "metric", value: "dev_error" }),
      direction: field({ label: "Goal", name: "direction", options: [["minimize", "minimize"], ["maximize", "maximize"]], value: "minimize" }),
      tags: field({ label: "Tags, with commas", name: "tags" }),
      sampler: field({ label: "Sampler", name: "sampler", pointer: "/search/sampler", options: [["coarse_to_fine", "Coarse to fine"], ["random", "Random"], ["sobol", "Sobol"], ["grid", "Grid"]], value: "coarse_to_fine" }),
      replicates: field({ label: "Trials of each sample", name: "replicates", pointer: "/search/replicates", value: "1", inputmode: "numeric" }),
      max_trials: field({ label: "Trials at most", name: "max_trials", pointer: "/budget/max_trials", value: "30", inputmode: "numeric" }),
      max_seconds: field({ label: "Seconds at most", name: "max_seconds", pointer: "/budget/max_seconds", inputmode: "decimal", note: "of all workers together; may stay empty" }),
      constraints: field({ label: "Constraints, one a line", name: "constraints", rows: 2, pointer: "/constraints", wide: true, placeholder: "hidden_units * batch_size <= 8192" }),
      task: field({ label: "What runs a trial", name: "task", options: TASKS, value: "train" }),
    };
    this.more = el("div", { class: "fields" });
    this.button = el("button", { class: "primary" }, "Create the study");
    this.node = this.#build();
    this.fields.task.input.addEventListener("change", () => this.#taskFields());
    this.fields.constraints.input.addEventListener("input", () => this.soon());
    this.#taskFields();
    this.soon();
  }

  #build() {
    const f = this.fields;
    const group = (title, ...fields) => el("fieldset", {}, el("legend", {}, title), el("div", { class: "fields" }, fields));
    const form = el("form", { class: "stack", novalidate: true },
      group("Study", f.name, f.title, f.metric, f.direction, f.tags), this.space.node, f.constraints,
      group("Search and budget", f.sampler, f.replicates, f.max_trials, f.max_seconds),
      el("fieldset", { data: { pointer: "/task" } }, el("legend", {}, "Task"), el("div", { class: "fields" }, f.task), this.more),
      el("div", { class: "actions" }, this.button));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      create(form, this.button, () => this.request());
    });
    this.form = form;
    return el("div", { class: "grid" }, el("div", { class: "two-thirds" }, form), el("aside", { class: "third sticky", "aria-label": "Preview of the space" }, el("h2", {}, "What the space draws"), this.preview.node));
  }

  #taskFields() {
    const made = {
      train: () => [field({ label: "Data set", name: "dataset", pointer: "/task/dataset", value: "digits", list: "datasets", note: "One that is built in, or npz:NAME, csv:NAME below a worker's --data." }), el("datalist", { id: "datasets" }, DATASETS.map((one) => el("option", { value: one }))), field({ label: "Epochs", name: "epochs", pointer: "/task/epochs", value: "20", inputmode: "numeric" }), field({ label: "Fixed for all trials, as JSON", name: "fixed", pointer: "/task/fixed", rows: 2, wide: true, value: '{"optimizer": "adam"}' })],
      none: () => [],
      command: () => [field({ label: "Program and arguments, one a line", name: "argv", pointer: "/task/argv", rows: 4, wide: true, placeholder: "python\ntrain.py\n--lr={learning_rate}", note: "{name} is the value of a parameter." })],
      python: () => [field({ label: "Function", name: "call", pointer: "/task/call", placeholder: "train:run", note: "module:function, found from where the worker runs" })],
    }[this.fields.task.input.value]();
    this.taskInputs = made;
    fill(this.more, made);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#preview(), 350);
  }

  async #preview() {
    const asked = { space: this.space.space(), constraints: lines(this.fields.constraints) };
    try {
      await this.preview.show(asked);
      clearProblems(this.form);
    } catch (problem) {
      const focused = document.activeElement;
      showProblem(this.form, problem);
      focused?.focus?.();
    }
  }

  /** The request. Throws a problem with a pointer where a text is no JSON. */
  request() {
    const v = (name) => this.fields[name].input.value.trim();
    return compact({
      name: v("name"), title: v("title"), metric: v("metric"), direction: v("direction"),
      tags: v("tags").split(",").map((tag) => tag.trim()).filter(Boolean),
      space: this.space.space(), constraints: lines(this.fields.constraints),
      search: { sampler: v("sampler"), replicates: written(v("replicates")) || 1 },
      budget: compact({ max_trials: written(v("max_trials")), max_seconds: written(v("max_seconds")) }),
      task: this.#task(v("task")),
    });
  }

  #task(kind) {
    const given = Object.fromEntries(this.taskInputs.filter((one) => one.input).map((one) => [one.input.name, one.input.value]));
    if (kind === "none") return null;
    if (kind === "command") return { kind, argv: given.argv.split("\n").map((one) => one.trim()).filter(Boolean) };
    if (kind === "python") return { kind, call: given.call.trim() };
    return { kind, dataset: given.dataset.trim(), epochs: written(given.epochs), fixed: json(given.fixed, "/task/fixed") };
  }
}

const lines = (one) => one.input.value.split("\n").map((line) => line.trim()).filter(Boolean);

function json(text, pointer) {
  if (!text.trim()) return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw { detail: "", errors: [{ pointer, detail: `This is not JSON: ${error.message}` }] };
  }
}

class File {
  constructor() {
    this.text = field({ label: "A study as YAML or JSON", name: "text", rows: 24, pointer: "/", placeholder: "name: digits\nmetric: dev_error\nspace:\n  learning_rate: {type: float, low: 1e-4, high: 0.1, scale: log}\nbudget: {max_trials: 30}" });
    this.preview = new SpacePreview();
    this.button = el("button", { class: "primary" }, "Create the study");
    const pick = el("input", { type: "file", accept: ".yaml,.yml,.json", "aria-label": "A file", on: { change: (event) => this.#load(event.target.files[0]) } });
    const check = el("button", { type: "button", on: { click: () => this.#check() } }, "Check");
    this.problems = el("div", {});
    this.form = el("form", { class: "stack", novalidate: true }, pick, this.text, this.problems, el("div", { class: "actions" }, this.button, check));
    this.form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await this.#tried(async () => opened(await send("POST", "/studies", await this.#read())));
    });
    this.node = el("div", { class: "grid" }, el("div", { class: "two-thirds" }, this.form), el("aside", { class: "third sticky", "aria-label": "Preview of the space" }, el("h2", {}, "What the space draws"), this.preview.node));
  }

  async #load(file) {
    if (!file) return;
    this.text.input.value = await file.text();
    await this.#check();
  }

  #read() {
    return readText(this.text.input.value);
  }

  async #check() {
    await this.#tried(async () => {
      const request = await this.#read();
      const study = await send("POST", "/studies?dry_run=true", request);
      await this.preview.show({ space: study.space, constraints: study.constraints });
      toast(`${study.name} can be created.`);
    });
  }

  async #tried(act) {
    fill(this.problems);
    clearProblems(this.form);
    try {
      await act();
    } catch (problem) {
      this.#mistakes(problem);
    }
  }

  /** Each mistake with its line, which a click selects. */
  #mistakes(problem) {
    const errors = problem.errors?.length ? problem.errors : [{ pointer: "", detail: problem.detail ?? String(problem) }];
    const items = errors.map(({ pointer, detail }) => {
      const line = pointer.startsWith("line:") ? Number(pointer.slice(5)) : lineOf(this.text.input.value, pointer);
      const go = line && el("button", { type: "button", class: "quiet", on: { click: () => this.#select(line) } }, `Line ${line}`);
      return el("li", {}, go, pointer && !pointer.startsWith("line:") ? el("code", {}, pointer) : null, " ", detail);
    });
    fill(this.problems, el("div", { class: "problem summary", role: "alert" }, el("ul", {}, items)));
    this.text.input.setAttribute("aria-invalid", "true");
  }

  #select(line) {
    const all = this.text.input.value.split("\n");
    const start = all.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    this.text.input.focus();
    this.text.input.setSelectionRange(start, start + all[line - 1].length);
  }
}

async function create(form, button, request) {
  await tried(form, button, async () => opened(await send("POST", "/studies", request())));
}

const opened = (study) => location.assign(`/studies/${part(study.name)}`);

const views = { form: new Form(), file: new File() };
const shown = el("div", {});
const tabs = ["form", "file"].map((kind) => el("button", { type: "button", class: "tab", id: `tab-${kind}`, "aria-pressed": "false", on: { click: () => show(kind) } }, { form: "By a form", file: "From a file" }[kind]));

function show(kind) {
  fill(shown, views[kind].node);
  for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.id === `tab-${kind}`));
}

fill(byId("new"), el("div", { class: "tabs", role: "group", "aria-label": "How" }, tabs), shown);
show("form");
get("/studies?page_size=1").catch((problem) => toast(problem.detail, { bad: true }));
