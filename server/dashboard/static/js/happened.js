// Events as sentences. `sentence(event)` gives text and links to trials and studies; an unknown kind shows what it holds.

import { part } from "./api.js";
import { el } from "./dom.js";
import { count, number, value } from "./format.js";
import { when } from "./when.js";

const link = (study, n) => el("a", { href: `/studies/${part(study)}/trials/${n}` }, `trial ${n}`);
const links = (study, numbers) => numbers.flatMap((n, i) => [i ? (i === numbers.length - 1 ? " and " : ", ") : "", link(study, n)]);
const params = (given) => Object.entries(given ?? {}).map(([name, one]) => `${name} ${value(one)}`).join(", ");
const why = (reason) => (reason ? `: ${reason}` : ".");
const version = (one) => (one?.commit ? `commit ${one.commit.slice(0, 10)}${one.dirty ? " with changes" : ""}` : one?.sha256 ? `fingerprint ${one.sha256.slice(0, 10)}` : "");

const SENTENCES = {
  enqueued: () => ["A person queued it."],
  requeued: ({ was }) => [`Queued again; it was ${was}.`],
  cancelled: ({ was }) => [`Cancelled; it was ${was}.`],
  invalidated: ({ reason }) => [`Declared invalid${why(reason)}`],
  imported: ({ trials }) => [`${count(trials, "trial")} of another tool came in.`],
  state: ({ state, was, why: reason }) => [`The study is ${state}; it was ${was}${reason ? ` (${reason})` : ""}.`],
  budget: (detail) => [`The budget is ${params(detail)}.`],
  budget_spent: ({ limit }) => [limit ? `The limit ${limit} is reached.` : "No limit is reached any more."],
  needs: (detail) => [`What it needs of a worker: ${params(detail) || "nothing but a slot"}.`],
  space: ({ revision, changed, left_out: out }) => [`The space has revision ${revision}`, changed?.length ? `; changed: ${changed.join(", ")}` : "", out?.length ? `; left out: ${out.join(", ")}` : "", "."],
  released: ({ worker }) => [`${worker ?? "Its holder"} gave it back.`],
  unable: ({ worker, reason }) => [`${worker} cannot run it${why(reason)}`],
  lease_expired: ({ worker, then }) => [`The lease of ${worker ?? "its holder"} ran out; it is ${then}.`],
  stop: ({ why: who, reason, rule, epoch }) => [who === "pruned" ? `Stopped early at epoch ${number(epoch)} by the rule ${rule}${why(reason)}` : `A person asked it to stop${why(reason)}`],
  proposal: ({ policy, state }) => [`The policy ${policy} ${state === "accepted" ? "acted" : "proposed a change"}.`],
  guard: ({ reason }) => [reason],
  forked: ({ branches, step, reason }, study) => ["Forked at step ", number(step), " into ", links(study, branches), why(reason)],
  promoted: ({ panda, step, reason }, study) => ["Promoted at step ", number(step), " to ", link(study, panda), why(reason)],
  checkpoint_lost: ({ step, before }) => [`The checkpoint of step ${number(step)} was lost; ${before === null ? "there is none before it" : `the one before it is of step ${number(before)}`}.`],
  drift: ({ reason }) => [`Drift. ${reason}`],
  portion_refused: ({ reason, portion }) => [`A portion was refused: ${reason ?? portion}`],
  challenge: ({ challengers, portions }, study) => ["Challenged by ", links(study, challengers), ` over ${count(portions, "portion")}.`],
  challenge_decided: ({ reason }) => [reason],
  challenge_skipped: ({ reason }) => [`No challenge: ${reason}`],
  retest: ({ retest, portion }) => [`A retest began after portion ${number(portion)}: `, el("a", { href: `/studies/${part(retest)}` }, retest), "."],
  retest_decided: ({ reason, retest }) => [reason, " ", el("a", { href: `/studies/${part(retest)}` }, retest)],
  retest_skipped: ({ reason }) => [`No retest: ${reason}`],
  code: ({ becomes }) => [`From here on the code is another: ${version(becomes)}.`],
  data: ({ becomes }) => [`From here on the data are others: ${version(becomes)}.`],
};

/** What happened, as text and links. */
export function sentence({ kind, detail }, study) {
  const known = SENTENCES[kind] ?? SENTENCES[kind.replace(/_(changed|version)$/, "")];
  if (known) return known(detail, study);
  return [`${kind.replaceAll("_", " ")}${Object.keys(detail).length ? `: ${params(detail)}` : ""}`];
}

/** What the server did by itself, what a server without a token cannot tell, and what is older than the names. */
const NOBODY = new Set([null, undefined, "server", "local"]);

/** An event as an item of a list of the class `events`; with `trial` it names its trial. */
export function eventItem(event, study, { trial = true } = {}) {
  const of = trial && event.number !== null ? [el("a", { href: `/studies/${part(study)}/trials/${event.number}` }, `Trial ${event.number}`), ": "] : null;
  const by = NOBODY.has(event.actor) ? null : el("span", { class: "note" }, `, by ${event.actor}`);
  return el("li", {}, when(event.at), el("span", {}, of, sentence(event, study), by));
}
