"""The desired state of a trial: the one way in which pruning, budgets, people and policies steer a run.

No command is sent or queued. What is desired stands in the trial's row under a version that only rises; the answer to
every report, every renewal and every lease carries it; the worker brings its run there between two steps and says
`applied_version` and `applied_step` in what it sends next. So a server or a worker may restart, or an answer be lost,
and nothing is forgotten or done twice. Every version is an entry of the trial's timeline, which tells what came of it.

To steer, in a write transaction that locks the study's row and then the trial's (in this order, as all do):

    study = studies.required(tx, name, lock=True)
    row = studies.required_trial(tx, study, number, lock=True)
    row = steering.desire(tx, row, why="person", params={"learning_rate": 0.01})

What is not given stays. `params` are all live parameters that differ from the trial's own, not the last change alone: a
worker may miss versions in between.

`run="stop"` is a wish: the worker finishes its epoch and tells how it ended. If its lease runs out, or is given back,
before it does, `ending.of_stopped` says what the trial becomes: no other worker begins it again.

A rollback begins a new rollback generation (`leg` on the wire), numbered by its version: a run of an earlier one goes
back to the checkpoint of `restore`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from server.policies import timelines
from server.services.views import desired_of
from server.store import checkpoints, proposals, timeline, trials
from server.store.engine import Transaction
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.errors import FieldProblem, Invalid
from sturgeon.messages import Desired

Why = Literal["pruned", "person", "policy", "study"]
Run = Literal["run", "pause", "stop"]
VERBS: dict[Run, str] = {"run": "resume", "pause": "pause", "stop": "stop"}


@dataclass(frozen=True)
class RollbackTarget:
    """Where a rollback goes: the step of a checkpoint, 0 for the very start, and the version in force in it. `params`
    are what differs there from the trial's own."""

    step: int
    version: int
    params: dict[str, Any]


def request_change(
    tx: Transaction,
    row: TrialRow,
    why: Why | None,
    *,
    params: dict[str, Any] | None = None,
    run: Run | None = None,
    back: RollbackTarget | None = None,
    keep: bool = False,
    guard: dict[str, Any] | None = None,
    actor: str | None = None,
    reason: str = "",
) -> TrialRow:
    """Raise the version, and write it into the timeline; the trial's row is locked.

    params: live parameters to change. back: go back there first. keep: leave a checkpoint before this version is
    applied, as a guard needs one to go back to. actor: who, if `why` does not say it already.
    """
    now = desired_of(row)
    version = now.version + 1
    wanted = Desired(
        version=version,
        params=(now.params if back is None else back.params) | (params or {}),
        run=run or now.run,
        restore=now.restore if back is None else back.step,
        leg=now.leg if back is None else version,
        checkpoint=version if keep or guard else now.checkpoint,
        why=why,
    )
    verb = "rollback" if back else VERBS[run] if run else "params" if params else "checkpoint"
    entry = {"trial_id": row.id, "version": version, "verb": verb, "params": params or {}, "state": "pending"}
    went = {"restore": back and back.step, "base": back and back.version}
    told = {"actor": actor or why or "study", "reason": reason, "guard": guard, "watching": guard is not None}
    timeline.insert(tx, entry | went | told | {"at": tx.now()})
    proposals.outdate(tx, row.id)
    return trials.update(tx, row.id, desired=wanted.model_dump(mode="json"))


def acknowledge(tx: Transaction, row: TrialRow, version: int | None, step: int | None) -> TrialRow:
    """Note what the worker has applied, in the timeline too; it never goes back. The trial's row is locked.

    Raises Invalid for a version that nobody desired.
    """
    if version is None or version <= (row.applied_version or 0):
        return row
    if version > (newest := desired_of(row).version):
        detail = f"version {version} was not desired yet, {newest} is the newest: send the one that an answer gave you"
        raise Invalid(f"applied_version: {detail}.", (FieldProblem("/applied_version", detail),))
    settled, entries = _settle(tx, row, version, step or 0)
    for entry in entries:
        if entry.verb == "rollback" and entry.version in settled.applied:
            row = _gone_back(tx, row, entry.restore or 0)
    live_overrides = timelines.overrides(entries) or None
    return trials.update(tx, row.id, applied_version=version, applied_step=step, live_overrides=live_overrides)


def has_more_to_do(tx: Transaction, row: TrialRow) -> bool:
    """Whether a run that has ended by itself has something left to do that it did not hear in time: to go back to a
    checkpoint, or to train more epochs."""
    desired = desired_of(row)
    if desired.run == "stop" or desired.version <= (row.applied_version or 0):
        return False
    waiting = [entry for entry in timeline.of_trial(tx, row.id) if entry.state == "pending"]
    return any(entry.verb == "rollback" or "epochs" in entry.params for entry in waiting)


def close_timeline(tx: Transaction, row: TrialRow) -> None:
    """The trial has ended: what nobody applied will not be."""
    if row.desired is not None:
        waiting = [entry.version for entry in timeline.of_trial(tx, row.id) if entry.state == "pending"]
        timeline.settle(tx, row.id, waiting, "superseded", watching=False)
    if row.mode == "panda":
        proposals.outdate(tx, row.id)


def _gone_back(tx: Transaction, row: TrialRow, step: int) -> TrialRow:
    """Forget the checkpoints behind the step that the run went back to, and count its epochs from there."""
    checkpoints.delete_after(tx, row.id, step)
    epoch = next((one.epoch for one in checkpoints.of_trial(tx, row.id) if one.step == step), None)
    return trials.update(tx, row.id, run_epoch=epoch)


def _settle(tx: Transaction, row: TrialRow, version: int, step: int) -> tuple[timelines.Settled, list[EntryRow]]:
    """What becomes of the versions up to this one, and all entries as they stand then."""
    now = tx.now()
    settled = timelines.settle(timeline.of_trial(tx, row.id), version)
    timeline.settle(tx, row.id, settled.applied, "applied", from_step=step, applied_at=now)
    timeline.settle(tx, row.id, settled.superseded, "superseded", applied_at=now, watching=False)
    timeline.settle(tx, row.id, settled.reverted, "reverted", watching=False)
    return settled, timeline.of_trial(tx, row.id)
