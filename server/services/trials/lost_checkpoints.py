"""Checkpoints whose file is gone or damaged: they are marked, said in the timeline, and no run goes on from one.

A worker that cannot read the checkpoint with which its run shall begin gives the trial back; the next hand-out begins
at the newest whole one. A rollback that waits for a worker goes to the newest whole checkpoint before its target.
"""

from __future__ import annotations

from typing import Final

import structlog

from server.services import lookup
from server.services.runs import desired_state, resume
from server.services.views import desired_of
from server.store import checkpoints, events, timeline
from server.store.blobs import BlobFolder
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.identifiers import NO_VERSION, TrialNumber
from sturgeon.states import UNFINISHED

EVENT: Final = resume.CHECKPOINT_LOST
log = structlog.get_logger()


def mark(database: Database, blobs: BlobFolder, name: str, number: TrialNumber, read: CheckpointRow) -> None:
    """Mark a checkpoint whose file could not be read, once. Raises: NotFound."""
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.lock_trial(tx, study, number)
        row = next((row for row in checkpoints.of_trial(tx, trial.id) if row.id == read.id), None)
        if row is None or row.lost_at is not None or blobs.is_readable(row.sha256):
            return  # deleted, marked or uploaded again since
        checkpoints.mark_lost(tx, row.id, tx.now())
        _note(tx, study, trial, row)
        tx.after_commit(_tell, name, number, row.step)


def mark_found(database: Database, read: CheckpointRow) -> None:
    """The file is there again: its folder had been away."""
    with database.writing() as tx:
        checkpoints.mark_lost(tx, read.id, None)


def _note(tx: Transaction, study: StudyRow, trial: TrialRow, lost: CheckpointRow) -> None:
    before = [row for row in resume.reachable_checkpoints(tx, trial) if row.step < lost.step]
    newest = before[-1] if before else None
    then = None if newest is None and trial.parent_number is not None else (newest.step if newest else 0)
    events.insert(tx, study.id, EVENT, tx.now(), trial.number, step=lost.step, before=then)
    desired = desired_of(trial)
    waits_for_it = desired.leg > (trial.applied_version or NO_VERSION) and desired.restore == lost.step
    if trial.state not in UNFINISHED or not waits_for_it or then is None:
        return
    entries = timeline.of_trial(tx, trial.id)
    params: Json = {}
    for entry in entries:
        if entry.version >= desired.leg and entry.state == "pending":
            params |= entry.params
    desired_state.request_change(
        tx,
        trial,
        None,
        params=params,
        back=resume.pin_rollback_target(tx, trial, newest),
        actor="server",
        reason=f"The checkpoint of step {lost.step} is gone or damaged.",
    )


def _tell(name: str, number: TrialNumber, step: int) -> None:
    log.warning("a checkpoint is gone or damaged", study=name, trial=number, step=step)
