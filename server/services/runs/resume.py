"""Where a run begins whose trial has run before, or is a branch: at a checkpoint, with the changes after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from server.policies import timelines
from server.services.runs.curve import StoredCurve, best_score_up_to
from server.services.runs.desired_state import RollbackTarget
from server.services.views import desired_of
from server.store import checkpoints, run_starts, rung_scores, timeline, trials
from server.store.checkpoints import CheckpointRow
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.identifiers import NO_VERSION, Step, Version
from sturgeon.messages import Change, Resume
from sturgeon.training import flagged

START: Final = Step(0)
CHECKPOINT_LOST: Final = "checkpoint_lost"
"""The kind of event that says that a checkpoint's file is gone or damaged."""


def begin_again(tx: Transaction, study: StudyRow, row: TrialRow) -> Resume | None:
    """What a queued trial's new run begins with; None for one that starts from the beginning. The row is as the
    hand-out left it, and locked. Where the run begins is stored: its reports replace those of earlier runs from
    there."""
    resume = _resume_of(tx, study, row)
    began = run_starts.FROM_SCRATCH if resume is None or resume.sha256 is None else Step(resume.step)
    run_starts.insert(tx, row.id, row.fence, began)
    return resume


def _resume_of(tx: Transaction, study: StudyRow, row: TrialRow) -> Resume | None:
    """It also sets the epoch that the run starts to count from. A train task repeats the epochs after its checkpoint,
    so epochs that an earlier run has counted are not counted again; so does a task of own code that goes on from one. A
    run that a rollback sent back counts from the checkpoint. Own code without one starts over: what its earlier runs
    reported counts no more, so its best score is forgotten, too. A study without a task does not say whether its trials
    go on: where one does, all reports count since the run that began from the start.

    A rollback that no worker has applied yet needs no worker: the run begins where the rollback goes.
    """
    desired, applied = desired_of(row), row.applied_version or NO_VERSION
    if desired.leg > applied:
        checkpoint = checkpoint_at(tx, row, Step(desired.restore or START))
        trials.update(tx, row, run_epoch=None if checkpoint is None else checkpoint.epoch)
        return _resume(row, checkpoint, [], applied, generation=desired.leg)
    entries = timeline.of_trial(tx, row.id)
    checkpoint = newest_checkpoint(tx, row) or _lost_beginning(tx, row)
    starts_over = checkpoint is None and not study.trains
    goes_on = not starts_over and (study.goes_on or study.task is None)
    reached = row.run_epoch if goes_on else None
    counted = [reached, None if checkpoint is None else checkpoint.epoch]
    begun: Json = {"run_epoch": max((epoch for epoch in counted if epoch is not None), default=None)}
    if starts_over:
        begun |= {"best_score": None}
        if study.task is not None or row.begun_fence is not None:
            begun["begun_fence"] = row.fence
    elif study.task is None and row.begun_fence is None:
        begun["begun_fence"] = run_starts.newest_from_scratch(tx, row.id)
    trials.update(tx, row, **begun)
    rollbacks = [entry.version for entry in entries if entry.verb == "rollback" and entry.version <= applied]
    if checkpoint is None and not applied:
        return None
    resumed = _resume(row, checkpoint, entries, applied, generation=max(rollbacks, default=0))
    return resumed.model_copy(update={"reached": _reached(tx, study, row, entries)})


def _reached(tx: Transaction, study: StudyRow, row: TrialRow, entries: Sequence[EntryRow]) -> int:
    """The step that an earlier run had come to, if parameters were asked for that no run has applied yet: what answers
    a report must not be in force while what was reported is trained again."""
    if not any(entry.state == "pending" and entry.params for entry in entries):
        return 0
    newest = StoredCurve(tx, study, row).newest
    return 0 if newest is None else newest.step


def forget_scores(tx: Transaction, study: StudyRow, row: TrialRow) -> TrialRow:
    """Forget how good a failed or cancelled run was, before the trial runs again: another trial may not be stopped for
    it. What the next run begins with stays: the scores up to its checkpoint, if there is one.

    The rows of the study and the trial are locked.
    """
    checkpoint = newest_checkpoint(tx, row)
    epoch = None if checkpoint is None else checkpoint.epoch
    best = None if checkpoint is None else best_score_up_to(tx, study, row, checkpoint.step)
    rung_scores.delete_after(tx, row.id, epoch or 0.0)
    return trials.update(tx, row, best_score=best, run_epoch=epoch)


def _resume(
    row: TrialRow, checkpoint: CheckpointRow | None, entries: list[EntryRow], version: Version, generation: int
) -> Resume:
    # Changes at the checkpoint's very step, too: the parameters in a checkpoint are from before them.
    changes = timelines.schedule(entries, 0 if checkpoint is None else checkpoint.step)
    if checkpoint is not None and checkpoint.step == row.parent_step:
        changes = [(checkpoint.step, initial_live_params(row)), *changes]
    return Resume(
        number=row.number,
        step=0 if checkpoint is None else checkpoint.step,
        sha256=None if checkpoint is None else checkpoint.sha256,
        version=version,
        leg=generation,
        timeline=[Change(step=step, params=params) for step, params in changes],
    )


def initial_live_params(row: TrialRow) -> Json:
    """The live parameters that a trial began with: what makes a branch differ from the checkpoint of its parent."""
    live = flagged("live")
    return {name: value for name, value in row.params.items() if name in live}


def reachable_checkpoints(tx: Transaction, row: TrialRow) -> list[CheckpointRow]:
    """The checkpoints that a run can go on from, by step: those whose files are whole.

    A rollback deletes the checkpoints after its target once a worker has applied it; until then they are left out
    here, since the run will not hear of anything else before it goes back.
    """
    stored, desired = [one for one in checkpoints.of_trial(tx, row.id) if one.is_whole], desired_of(row)
    is_about_to_go_back = desired.leg > (row.applied_version or 0)
    return (
        [checkpoint for checkpoint in stored if checkpoint.step <= (desired.restore or 0)]
        if is_about_to_go_back
        else stored
    )


def newest_checkpoint(tx: Transaction, row: TrialRow) -> CheckpointRow | None:
    """The last of the checkpoints that a run can go on from."""
    reachable = reachable_checkpoints(tx, row)
    return reachable[-1] if reachable else None


def has_lost_its_beginning(tx: Transaction, row: TrialRow) -> bool:
    """Whether no run can go on with a trial: it is a branch, its first checkpoint is lost, and it has no later one."""
    return newest_checkpoint(tx, row) is None and _lost_beginning(tx, row) is not None


def _lost_beginning(tx: Transaction, row: TrialRow) -> CheckpointRow | None:
    """The lost checkpoint that a branch began with: without it, it would be another training."""
    stored = checkpoints.of_trial(tx, row.id)
    return next((one for one in stored if one.step == row.parent_step and not one.is_whole), None)


def checkpoint_at(tx: Transaction, row: TrialRow, step: Step) -> CheckpointRow | None:
    """The checkpoint of a step, if a run can go on from it."""
    return next((checkpoint for checkpoint in reachable_checkpoints(tx, row) if checkpoint.step == step), None)


def rollback_target(row: TrialRow, checkpoint: CheckpointRow | None, entries: Sequence[EntryRow]) -> RollbackTarget:
    """The target of a rollback to a checkpoint of the trial, or (None) to its start."""
    if checkpoint is None:
        return RollbackTarget(START, NO_VERSION, {})
    params = timelines.overrides(entries, checkpoint)
    if checkpoint.step == row.parent_step:
        params = initial_live_params(row) | params
    return RollbackTarget(checkpoint.step, checkpoint.version, params)


def checkpoint_before(tx: Transaction, row: TrialRow, entry: EntryRow) -> CheckpointRow | None:
    """The newest checkpoint that does not have this change in it. One at the change's very step is from before it."""
    before = (
        checkpoint
        for checkpoint in reversed(reachable_checkpoints(tx, row))
        if checkpoint.step <= (entry.from_step or 0)
    )
    newest = next(before, None)
    return None if newest is None else replace(newest, version=Version(min(newest.version, entry.version - 1)))


def pin_rollback_target(tx: Transaction, row: TrialRow, checkpoint: CheckpointRow | None) -> RollbackTarget:
    """As `rollback_target`; no rule drops the checkpoint from now on."""
    if checkpoint is not None:
        checkpoints.pin(tx, row.id, checkpoint.step)
    return rollback_target(row, checkpoint, timeline.of_trial(tx, row.id))
