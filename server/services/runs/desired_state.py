"""The desired state of a trial: the one way in which pruning, budgets, people and policies steer a run.

No command is sent or queued. The desired state is stored in the trial's row, under a version that only rises. The
answer to every report, every renewal and every lease carries it. The worker brings its run to that state between two
steps, and acknowledges it: its next message has `applied_version` and `applied_step`. So a server or a worker may
restart, or an answer may be lost, and no change is lost or made twice. Each version is an entry of the trial's
timeline, which says what has become of it.

To steer a run, in a write transaction that locks the study's row and then the trial's:

    with transactions.on_study(name) as scope:
        row = lookup.lock_trial(scope.tx, scope.study, number)
        row = desired_state.request_change(scope.tx, row, "person", params={"learning_rate": 0.01})

A field that a change does not give stays as it is. The stored `params` are all live parameters that differ from the
trial's own, not those of the last change alone: a worker may miss the versions between.

`run="stop"` is a request: the worker finishes its epoch and tells the result. If its lease runs out or is released
before that, `completion.outcome_of_stopped` says how the trial ends: no other worker runs it again.

A rollback begins a new rollback generation (`leg` on the wire), numbered by its version: a run of an earlier one goes
back to the checkpoint of `restore`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.policies import timelines
from server.services.runs.curve import best_score_up_to
from server.services.views import desired_of
from server.store import checkpoints, proposals, studies, timeline, trials
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.errors import Conflict, FieldProblem
from sturgeon.identifiers import Step, Version
from sturgeon.messages import Desired

Why = Literal["pruned", "person", "policy", "study"]
Run = Literal["run", "pause", "stop"]
VERBS: dict[Run, str] = {"run": "resume", "pause": "pause", "stop": "stop"}


@dataclass(frozen=True)
class RollbackTarget:
    """Where a rollback goes: the step of a checkpoint, 0 for the start of the trial, and the version in force there.

    params: the live parameters that differ there from the trial's own.
    """

    step: Step
    version: Version
    params: Json


def request_change(
    tx: Transaction,
    row: TrialRow,
    why: Why | None,
    *,
    params: Json | None = None,
    run: Run | None = None,
    back: RollbackTarget | None = None,
    keep: bool = False,
    guard: Json | None = None,
    actor: str | None = None,
    actor_token: int | None = None,
    reason: str = "",
) -> TrialRow:
    """Raise the version, and write it into the timeline; the trial's row is locked.

    params: live parameters to change. back: go back there first. keep: upload a checkpoint before this version is
    applied; a guard has one in any case, to go back to. actor: who requests it, where that is neither the person who
    acts nor the study.
    """
    now = desired_of(row)
    version = Version((now.version or studies.version_floor(tx, row.study_id)) + 1)
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
    target = {"restore": back and back.step, "base": back and back.version}
    if why == "person":
        actor, actor_token = tx.actor.name, tx.actor.token_id
    who = {"actor": actor or why or "study", "actor_token": actor_token}
    request = {"reason": reason, "guard": guard, "watching": guard is not None}
    timeline.insert(tx, entry | target | who | request | {"at": tx.now()})
    proposals.outdate(tx, row.id)
    return trials.update(tx, row, desired=wanted.model_dump(mode="json"))


def acknowledge(tx: Transaction, row: TrialRow, version: Version | None, step: Step | None) -> TrialRow:
    """Store the version that the worker has applied, and settle the timeline up to it. The trial's row is locked.

    A version that is not newer than the stored one changes nothing.

    Raises: Conflict (a version that nobody has requested).
    """
    if version is None or version <= (row.applied_version or 0):
        return row
    if version > (newest := desired_of(row).version):
        detail = f"nobody has requested version {version}, the newest is {newest}: send the one that an answer gave you"
        raise Conflict(f"applied_version: {detail}.", (FieldProblem("/applied_version", detail),))
    settled, entries = _settle(tx, row, version, step or Step(0))
    for entry in entries:
        if entry.verb == "rollback" and entry.version in settled.applied:
            row = _roll_back(tx, row, Step(entry.restore or 0))
    live_overrides = timelines.overrides(entries) or None
    return trials.update(tx, row, applied_version=version, applied_step=step, live_overrides=live_overrides)


def has_more_to_do(tx: Transaction, row: TrialRow) -> bool:
    """Whether a run that has come to its end has missed a request: to go back to a checkpoint, or to train more
    epochs."""
    desired = desired_of(row)
    if desired.run == "stop" or desired.version <= (row.applied_version or 0):
        return False
    waiting = [entry for entry in timeline.of_trial(tx, row.id) if entry.state == "pending"]
    return any(entry.verb == "rollback" or "epochs" in entry.params for entry in waiting)


def close_timeline(tx: Transaction, row: TrialRow) -> None:
    """The trial has ended: mark the changes that no worker has applied as superseded."""
    if row.desired is not None:
        waiting = [entry.version for entry in timeline.of_trial(tx, row.id) if entry.state == "pending"]
        timeline.settle(tx, row.id, waiting, "superseded", watching=False)
    if row.mode == "panda":
        proposals.outdate(tx, row.id)


def _roll_back(tx: Transaction, row: TrialRow, step: Step) -> TrialRow:
    """Delete the checkpoints after the step that the run went back to, and count its epochs and its best score from
    there."""
    checkpoints.delete_after(tx, row.id, step)
    epoch = next((kept.epoch for kept in checkpoints.of_trial(tx, row.id) if kept.step == step), None)
    study = studies.by_id(tx, [row.study_id])[row.study_id]
    return trials.update(tx, row, run_epoch=epoch, best_score=best_score_up_to(tx, study, row, step))


def _settle(tx: Transaction, row: TrialRow, version: Version, step: Step) -> tuple[timelines.Settled, list[EntryRow]]:
    """Write what has become of the versions up to this one; also return all entries as they are then."""
    now = tx.now()
    settled = timelines.settle(timeline.of_trial(tx, row.id), version)
    timeline.settle(tx, row.id, settled.applied, "applied", from_step=step, applied_at=now)
    timeline.settle(tx, row.id, settled.superseded, "superseded", applied_at=now, watching=False)
    timeline.settle(tx, row.id, settled.reverted, "reverted", watching=False)
    return settled, timeline.of_trial(tx, row.id)
