// Which parts of a trial's page are old, once the trial is another.

/** All parts that are asked for, each a path of its own. */
export const PARTS = ["timeline", "proposals", "checkpoints", "curves", "lineage", "diagnosis", "errors", "events"];

const ENDED = new Set(["complete", "pruned", "diverged", "failed", "cancelled"]);

/** Whether a trial has come to its end. */
export const hasEnded = (trial) => ENDED.has(trial.state);

/** Whether a study's trials follow a stream: they tell what they find out while they run. */
export const isStream = (study) => String(study?.task?.dataset ?? "").startsWith("stream:");

/** The parts to ask for again, by what differs between two rows of the trial: how far it has come. */
export function staleByRow(before, after, study) {
  const isSame = before && ["epochs", "so_far", "state"].every((name) => before[name] === after[name]);
  return new Set(isSame ? [] : ["curves", "checkpoints", ...(study?.policies?.length ? ["proposals"] : [])]);
}

/** The parts to ask for again, by what differs between two answers of the trial. All of them without a first one. Of one
 * whose row has no epochs its steps tell how far it has come. */
export function stale(before, after, row = null) {
  if (!before) return new Set(PARTS);
  const parts = new Set();
  const differs = (read) => read(before) !== read(after);
  const isSteered = differs((trial) => trial.desired?.version) || differs((trial) => trial.applied_version);
  if (isSteered) for (const one of ["timeline", "proposals", "checkpoints", "curves"]) parts.add(one);
  if (row?.epochs == null && differs((trial) => trial.step)) for (const one of ["curves", "checkpoints"]) parts.add(one);
  if (differs((trial) => trial.findings?.diagnosis)) parts.add("diagnosis");
  if (differs((trial) => trial.findings?.errors) || differs((trial) => trial.findings?.tags)) parts.add("errors");
  if (differs((trial) => trial.state)) for (const one of PARTS) parts.add(one);
  if (differs((trial) => trial.attempt) || differs((trial) => trial.worker)) parts.add("events");
  if (differs((trial) => trial.value)) parts.add("lineage");
  return parts;
}

/** The parts to ask for again when these events of the trial have happened. */
export function staleByEvents(events) {
  const parts = new Set();
  for (const { kind } of events) {
    parts.add("events");
    if (kind === "proposal") parts.add("proposals").add("timeline");
    if (kind === "forked" || kind === "promoted" || kind === "challenge") parts.add("lineage").add("checkpoints");
    if (kind === "guard" || kind === "checkpoint_lost") parts.add("timeline").add("checkpoints");
  }
  return parts;
}
