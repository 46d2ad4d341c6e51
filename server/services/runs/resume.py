"""Where a trial goes on that ran before, or that is a branch of another: its checkpoint, and the changes after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from server.policies import timelines
from server.services.runs import desired_state
from server.services.views import desired_of
from server.store import checkpoints, timeline, trials
from server.store.checkpoints import CheckpointRow
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.messages import Change, Resume
from sturgeon.training import flagged


def resume_of(tx: Transaction, study: StudyRow, row: TrialRow) -> Resume | None:
    """What a run that is handed out begins with, None for one that begins anew. The row is as the hand-out left it,
    and locked.

    Epochs that an earlier run had done already count once, since they are the same again; own code begins anew, and
    what a rollback left is left.

    A rollback that no worker has applied yet needs none to apply it: the run begins where it goes back to.
    """
    if row.fence == 1 and row.parent_number is None and row.desired is None:
        return None
    desired, applied = desired_of(row), row.applied_version or 0
    entries = timeline.of_trial(tx, row.id)
    if desired.leg > applied:
        kept = checkpoint_at(tx, row, desired.restore or 0)
        trials.update(tx, row.id, run_epoch=None if kept is None else kept.epoch)
        return _resume(row, kept, [], version=applied, leg=desired.leg)
    kept = newest_checkpoint(tx, row)
    come_to = [row.run_epoch if study.task else None, None if kept is None else kept.epoch]
    trials.update(tx, row.id, run_epoch=max((one for one in come_to if one is not None), default=None))
    leg = max((e.version for e in entries if e.verb == "rollback" and e.version <= applied), default=0)
    if kept is None and not applied:
        return None
    return _resume(row, kept, entries, version=applied, leg=leg)


def _resume(row: TrialRow, kept: CheckpointRow | None, entries: list[EntryRow], version: int, leg: int) -> Resume:
    # Those at its very step, too: the parameters in a checkpoint are from before them.
    changes = timelines.schedule(entries, 0 if kept is None else kept.step)
    if kept is not None and kept.step == row.parent_step:
        changes = [(kept.step, initial_live_params(row)), *changes]
    return Resume(
        number=row.number,
        step=0 if kept is None else kept.step,
        sha256=None if kept is None else kept.sha256,
        version=version,
        leg=leg,
        timeline=[Change(step=step, params=params) for step, params in changes],
    )


def initial_live_params(row: TrialRow) -> dict[str, Any]:
    """The live parameters that a trial began with: what makes a branch differ from the checkpoint of its parent."""
    live = flagged("live")
    return {name: value for name, value in row.params.items() if name in live}


def reachable_checkpoints(tx: Transaction, row: TrialRow) -> list[CheckpointRow]:
    """The checkpoints that a run can go on from, in the order of their steps: those that it went back behind are gone,
    and those that it is about to go back behind will be before it hears of anything later."""
    kept, desired = checkpoints.of_trial(tx, row.id), desired_of(row)
    is_about_to = desired.leg > (row.applied_version or 0)
    return [one for one in kept if one.step <= (desired.restore or 0)] if is_about_to else kept


def newest_checkpoint(tx: Transaction, row: TrialRow) -> CheckpointRow | None:
    kept = reachable_checkpoints(tx, row)
    return kept[-1] if kept else None


def checkpoint_at(tx: Transaction, row: TrialRow, step: int) -> CheckpointRow | None:
    return next((one for one in reachable_checkpoints(tx, row) if one.step == step), None)


def rollback_target(
    row: TrialRow, kept: CheckpointRow | None, entries: Sequence[EntryRow]
) -> desired_state.RollbackTarget:
    """The rollback to a checkpoint of the trial, or (None) to its very start."""
    if kept is None:
        return desired_state.RollbackTarget(0, 0, {})
    params = timelines.overrides(entries, kept)
    if kept.step == row.parent_step:
        params = initial_live_params(row) | params
    return desired_state.RollbackTarget(kept.step, kept.version, params)


def checkpoint_before(tx: Transaction, row: TrialRow, entry: EntryRow) -> CheckpointRow | None:
    """The newest checkpoint without this change in it, as from before it: at its very step it has touched nothing."""
    found = (one for one in reversed(reachable_checkpoints(tx, row)) if one.step <= (entry.from_step or 0))
    return next((replace(one, version=min(one.version, entry.version - 1)) for one in found), None)


def pin_rollback_target(tx: Transaction, row: TrialRow, kept: CheckpointRow | None) -> desired_state.RollbackTarget:
    """As `back_to`; no rule drops the checkpoint from now on."""
    if kept is not None:
        checkpoints.pin(tx, row.id, kept.step)
    return rollback_target(row, kept, timeline.of_trial(tx, row.id))
