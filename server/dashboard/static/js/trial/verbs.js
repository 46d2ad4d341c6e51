// What people do to a trial: each verb is a dialog with a reason; what is lost is said before it is.

import { part, send } from "../api.js";
import { el } from "../dom.js";
import { dialog, field, toast } from "../forms.js";
import { number } from "../format.js";
import { parseAssignments, parseBranches } from "./assignments.js";
import { hasEnded } from "./changes.js";

const reason = (note = "It is kept in the timeline.") => field({ label: "Reason", name: "reason", note, maxlength: 1000 });
const text = (data, name) => (data.get(name) ?? "").trim();
const SENTENCES = {
  pause: ["Pause", "It writes a checkpoint and gives its slot back, until it is resumed.", "Pausing."],
  resume: ["Resume", "It goes on from where it was paused.", "Resuming."],
  checkpoint: ["Keep a checkpoint", "It is written between two steps, and no rule deletes it.", "A checkpoint is on its way."],
  stop: ["Stop", "It finishes its epoch, tells its result and is complete. It cannot be resumed then; it can be promoted or forked.", "Stopping."],
};

/** The verbs that are possible now: `[{id, label, run, danger}]`. */
export function verbs(store, trial, study) {
  const ended = hasEnded(trial);
  const trains = study.task?.kind === "train";
  const isPaused = trial.state === "paused" || trial.desired?.run === "pause";
  const found = [];
  const add = (id, label, run, danger = false) => found.push({ id, label, run, danger });
  if (!ended) {
    if (isPaused) add("resume", "Resume", () => steer(store, "resume"));
    else if (trial.state === "running") add("pause", "Pause", () => steer(store, "pause"));
    if (trial.state === "running") add("checkpoint", "Keep a checkpoint", () => steer(store, "checkpoint"));
    if (trial.state !== "queued") add("stop", "Stop …", () => steer(store, "stop"), true);
    if (trains) add("rollback", "Roll back …", () => rollback(store));
  }
  if (["failed", "cancelled"].includes(trial.state)) add("requeue", "Requeue", () => requeue(store));
  if (trains) {
    add("fork", "Fork …", () => fork(store));
    add("promote", "Promote …", () => promote(store));
  }
  if (!ended) add("cancel", "Cancel …", () => cancel(store), true);
  if ((ended || trial.state === "running") && !trial.invalid) add("invalidate", "Invalidate …", () => invalidate(store), true);
  return found;
}

function steer(store, verb) {
  const [act, sentence, done] = SENTENCES[verb];
  return dialog({
    title: `${act}: trial ${store.number}`, text: sentence, fields: [reason()], act, danger: verb === "stop",
    submit: async (data) => {
      await send("POST", `${store.path}:${verb}`, { reason: text(data, "reason") });
      toast(done);
      store.changed();
    },
  });
}

/** Checkpoints as choices, the newest first; `none` is what it means to choose none. */
function steps(store, none, chosen) {
  const whole = (store.checkpoints ?? []).filter((one) => !one.lost).reverse();
  const label = (one) => [`step ${number(one.step)}`, one.epoch != null && `epoch ${number(one.epoch)}`, one.value != null && `${store.study.metric} ${number(one.value)}`].filter(Boolean).join(", ");
  return field({ label: "Checkpoint", name: "step", pointer: "/step", value: chosen == null ? "" : String(chosen), options: [["", none], ...whole.map((one) => [String(one.step), label(one)])] });
}

const changes = (label, note, rest = {}) => field({ label, name: "params", pointer: "/params", note, placeholder: "learning_rate=0.01", wide: true, ...rest });
const budget = () => field({ label: "Raise the budget of the study by as many trials, if it is spent", name: "raise", type: "checkbox", value: true, pointer: "/raise_budget" });
const stepOf = (data) => (data.get("step") ? { step: Number(data.get("step")) } : {});

/** Back to a checkpoint. */
export function rollback(store, step = null) {
  return dialog({
    title: `Roll back: trial ${store.number}`, act: "Roll back", danger: true,
    text: "It goes back to a checkpoint and on from there. Reports after it stay to be read, but no longer count; checkpoints after it are deleted; changes after it are reverted.",
    fields: [steps(store, "the newest", step), changes("With other values", "Optional: name=value, several with commas between."), reason()],
    submit: async (data) => {
      await send("POST", `${store.path}:rollback`, { ...stepOf(data), params: parseAssignments(text(data, "params")), reason: text(data, "reason") });
      toast("Going back.");
      store.changed();
    },
  });
}

/** Branches that go on from one checkpoint. */
export function fork(store, step = null) {
  return dialog({
    title: `Fork: trial ${store.number}`, act: "Fork",
    text: "Each line is a branch: a trial of its own that goes on from the checkpoint with these changes. This trial stays as it is.",
    fields: [
      steps(store, "the newest", step),
      field({ label: "Branches", name: "branches", pointer: "/branches", rows: 4, wide: true, placeholder: "learning_rate=0.001\nl2=0.01, keep_prob=0.8", note: "One on each line. Add epochs=.. if the checkpoint has done all of them." }),
      field({ label: "And a control: the same without changes", name: "control", type: "checkbox", value: true }), budget(), reason("It is kept with the event."),
    ],
    submit: async (data) => {
      const branches = parseBranches(text(data, "branches")).map((params) => ({ params }));
      const body = { ...stepOf(data), branches: branches.length ? branches : [{ params: {} }], control: data.has("control") && branches.length > 0, raise_budget: data.has("raise"), reason: text(data, "reason") };
      const { items } = await send("POST", `${store.path}:fork`, body).catch(byLine);
      toast(`Forked: ${items.map((one) => `trial ${one.number}`).join(", ")}.`);
      store.again("lineage", "checkpoints", "events");
    },
  });
}

/** Each line of the field is a branch: a mistake in one stands at the field, and says its line. */
function byLine(problem) {
  const line = ({ pointer, detail }) => {
    const at = pointer.match(/^\/branches\/(\d+)/);
    return at ? { pointer: "/branches", detail: `Line ${Number(at[1]) + 1}: ${detail}` } : { pointer, detail };
  };
  problem.errors = (problem.errors ?? []).map(line);
  throw problem;
}

/** A panda that goes on from this trial. */
export async function promote(store, step = null) {
  const trial = await dialog({
    title: `Promote: trial ${store.number}`, act: "Promote",
    text: "A new trial, a panda that people and policies steer, goes on from a checkpoint of this one. This one stays as it is.",
    fields: [steps(store, "the best", step), changes("With other values", "Often more epochs: epochs=60.", { placeholder: "epochs=60" }), budget(), reason("It is kept with the event.")],
    submit: (data) => send("POST", `${store.path}:promote`, { ...stepOf(data), params: parseAssignments(text(data, "params")), raise_budget: data.has("raise"), reason: text(data, "reason") }),
  });
  if (trial) location.assign(`/studies/${part(trial.study)}/trials/${trial.number}`);
}

async function requeue(store) {
  try {
    await send("POST", `${store.path}:requeue`);
    toast("It is queued again, with the same parameters and seed.");
    store.changed();
  } catch (problem) {
    toast(problem.detail, { bad: true });
  }
}

function cancel(store) {
  return dialog({
    title: `Cancel: trial ${store.number}`, act: "Cancel the trial", danger: true,
    text: "It ends at once, without a result. What it has trained since its last checkpoint is lost; it can be requeued.",
    submit: async () => {
      await send("POST", `${store.path}:cancel`);
      toast("Cancelled.");
      store.changed();
    },
  });
}

function invalidate(store) {
  return dialog({
    title: `Invalidate: trial ${store.number}`, act: "Invalidate", danger: true,
    text: "Its result is not to be trusted: it counts for nothing from here on, and stays to be seen. This cannot be taken back.",
    fields: [field({ label: "Reason", name: "reason", required: true, maxlength: 1000, note: "For example: it ran on the wrong data." })],
    submit: async (data) => {
      await send("POST", `${store.path}:invalidate`, { reason: text(data, "reason") });
      toast("It does not count any more.");
      store.again("trial", "events");
    },
  });
}

/** Tags and notes. */
export function describe(store) {
  const { tags, notes } = store.trial;
  return dialog({
    title: `Tags and notes: trial ${store.number}`, act: "Save",
    fields: [field({ label: "Tags", name: "tags", value: tags.join(" "), note: "With spaces between." }), field({ label: "Notes", name: "notes", value: notes, rows: 6 })],
    submit: async (data) => {
      await send("PATCH", store.path, { tags: text(data, "tags").split(/[\s,]+/).filter(Boolean), notes: data.get("notes") });
      store.again("trial");
    },
  });
}

/** A link to a trial of the same study. */
export const trialLink = (study, n, label = `Trial ${n}`) => el("a", { href: `/studies/${part(study)}/trials/${n}` }, label);
