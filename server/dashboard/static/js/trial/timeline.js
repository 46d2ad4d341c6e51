// A panda's timeline: what was requested, by whom and why, and what came of it; and what policies propose.

import { send } from "../api.js";
import { el, fill, patched, redrawn, state } from "../dom.js";
import { actionButton, dialog, field, toast } from "../forms.js";
import { number, value } from "../format.js";
import { when } from "../when.js";

const SHOWN_AS = { pending: ["queued", "requested"], applied: ["complete", "applied"], superseded: ["cancelled", "superseded"], reverted: ["pruned", "reverted"] };
const VERBS = { pause: "pause", resume: "resume", stop: "stop", checkpoint: "keep a checkpoint", params: "change" };

export class Timeline {
  constructor(store) {
    this.store = store;
    this.body = el("tbody");
    const head = ["Version", "What", "From", "By", "Why", "State"].map((name) => el("th", { scope: "col" }, name));
    this.table = el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Timeline, scrolls sideways" }, el("table", { class: "plain stacked" }, el("thead", {}, el("tr", {}, head)), this.body));
    this.node = el("section", { id: "timeline", "aria-labelledby": "timeline-title", hidden: true }, el("div", { class: "heading" }, el("h2", { id: "timeline-title" }, "Timeline")), this.table);
    store.on("timeline", () => this.draw());
    store.on("curves", () => this.draw());
  }

  draw() {
    const { timeline, curves, study } = this.store;
    if (!timeline) return;
    this.node.hidden = timeline.items.length === 0;
    const epochs = new Map((curves?.interventions ?? []).map((one) => [one.version, one.epoch]));
    const now = { ...study?.task?.fixed, ...timeline.start.params };
    const rows = timeline.items.map((entry) => {
      const before = { ...now };
      if (entry.state !== "superseded" && entry.state !== "reverted") Object.assign(now, entry.params);
      return this.#row(entry, before, epochs.get(entry.version));
    });
    patched(this.body, rows.reverse());
  }

  #row(entry, before, epoch) {
    const [mark, word] = SHOWN_AS[entry.state];
    const from = entry.from_step === null ? "–" : [epoch != null && `epoch ${number(epoch)}, `, `step ${number(entry.from_step)}`].filter(Boolean).join("");
    const cell = (label, ...content) => el("td", { data: { label } }, content);
    return el("tr", { id: `version-${entry.version}` },
      el("th", { scope: "row", data: { label: "Version" } }, number(entry.version)),
      cell("What", what(entry, before)), cell("From", from),
      cell("By", entry.actor, el("span", { class: "note" }, " ", when(entry.at))),
      cell("Why", entry.reason || "–"), cell("State", state(mark, word)));
  }
}

function what(entry, before) {
  const first = entry.verb === "rollback" ? el("strong", {}, `back to step ${number(entry.restore ?? 0)}`) : entry.verb !== "params" && el("strong", {}, VERBS[entry.verb] ?? entry.verb);
  const guard = entry.guard && el("div", { class: "note" }, `Guard: back if ${entry.guard.metric} gets worse by ${number(entry.guard.worse_by)} within ${number(entry.guard.within_epochs)} epochs`);
  return [first, changes(entry.params, entry.verb === "rollback" ? {} : before), guard];
}

/** Changes of parameters, each on a line: learning_rate 0.003 → 0.0015. */
export function changes(params, before = {}) {
  const names = Object.keys(params);
  if (!names.length) return null;
  const one = (name) => el("li", {}, el("span", { class: "name" }, name), " ", Object.hasOwn(before, name) && before[name] !== params[name] ? `${value(before[name])} → ` : "", el("strong", {}, value(params[name])));
  return el("ul", { class: "changes" }, names.map(one));
}

export class Proposals {
  constructor(store) {
    this.store = store;
    this.node = el("div", { id: "proposals", role: "region", "aria-label": "Proposals", "aria-live": "polite" });
    store.on("proposals", () => this.draw());
  }

  /** Only those that are open, and only new ones are drawn anew, so that the focus stays. */
  draw() {
    const open = this.store.proposals.filter((one) => one.state === "open");
    const shown = open.map((one) => one.id).join();
    if (shown === this.shown) return;
    this.shown = shown;
    redrawn(this.node, () => fill(this.node, open.map((one) => this.#callout(one))));
  }

  #callout(one) {
    const what = [one.restore !== null && el("p", {}, `Back to step ${number(one.restore)}.`), changes(one.params, { ...this.store.study?.task?.fixed, ...this.store.trial?.params, ...this.store.trial?.desired?.params })];
    const dismiss = actionButton("Dismiss", async () => {
      await send("POST", `${this.store.path}/proposals/${one.id}:dismiss`);
      toast("Dismissed. The policy waits before it proposes again.");
      this.store.again("proposals");
    });
    const accept = el("button", { type: "button", class: "primary", on: { click: () => this.#accept(one) } }, "Accept");
    return el("div", { class: "callout", role: "group", "aria-label": `Proposal ${one.id}` },
      el("p", {}, el("strong", {}, `The policy ${one.policy} proposes: `), one.reason), what, el("div", { class: "actions" }, accept, dismiss, el("span", { class: "note" }, when(one.at))));
  }

  #accept(one) {
    return dialog({
      title: "Accept the proposal", text: one.reason, act: "Accept",
      fields: [field({ label: "Reason", name: "reason", maxlength: 1000, note: "It is kept in the timeline." })],
      submit: async (data) => {
        await send("POST", `${this.store.path}/proposals/${one.id}:accept`, { reason: (data.get("reason") ?? "").trim() });
        toast("Accepted.");
        this.store.again("proposals", "trial", "timeline");
      },
    });
  }
}
