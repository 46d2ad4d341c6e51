"""Checkpoints of trials: the lease's holder uploads them, the study's rule drops some, and everybody reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from server.policies import timelines
from server.services import blob_sweep, lookup, views
from server.services.runs.curve import applied_rollbacks
from server.services.trials import lost_checkpoints
from server.store import checkpoints, leases, timeline
from server.store.blobs import BlobFolder
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.errors import FieldProblem, Invalid, LeaseLost, NotFound, WrongState
from sturgeon.identifiers import NO_VERSION, Fence, Step, TrialNumber, Version


@dataclass(frozen=True)
class Upload:
    """What comes with the bytes.

    value: the study's metric at this step. version: the desired state that was in force. wanted: the newest version
    that asked for a checkpoint, 0 where none did.
    """

    fence: Fence
    step: Step
    sha256: str
    epoch: float | None
    value: float | None
    version: Version = NO_VERSION
    wanted: int = 0


def store_checkpoint(
    database: Database, blobs: BlobFolder, name: str, number: TrialNumber, upload: Upload, content: bytes
) -> messages.Checkpoint:
    """Store the checkpoint, and drop those that the study's rule does not keep.

    Raises: NotFound, LeaseLost, Unavailable (the disk does not take it), Invalid (the bytes are torn, or have a change
    in them that the worker has not acknowledged), WrongState (the run has gone back to an earlier step since).
    """
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        detail = "the body's SHA-256 is not the query's; send all bytes again"
        raise Invalid(f"The checkpoint arrived torn: {detail}.", (FieldProblem("query:sha256", detail),))
    with database.reading() as tx:  # nothing is written to the disk for an upload that will be refused
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        if not leases.is_held(trial, upload.fence):
            if (stored := _same(tx, study, trial, upload)) is not None:
                return views.checkpoint(stored)
            raise _lost(number)
        _require_present_generation(tx, trial, upload)
    blobs.ensure(upload.sha256, content)
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        now = tx.now()
        leased = leases.renew(tx, trial.id, upload.fence, reported=True)
        if leased is None:
            raise _lost(number)
        _require_present_generation(tx, leased, upload)
        checkpoints.hold_blobs(tx)
        blobs.keep(upload.sha256, content)  # the sweep may have deleted it since: no row named it yet
        row = _insert(tx, leased, upload, len(content), now)
        dropped = _drop_by_rule(tx, study, leased)
    blob_sweep.delete_unnamed(database, blobs, dropped)
    return views.checkpoint(row)


def _same(tx: Transaction, study: StudyRow, trial: TrialRow, upload: Upload) -> CheckpointRow | None:
    """The checkpoint that this very upload has stored: it is sent again, since its answer was lost."""
    if not study.fence_floor < upload.fence <= trial.fence:
        return None
    rows = checkpoints.of_trial(tx, trial.id)
    return next((row for row in rows if (row.step, row.sha256) == (upload.step, upload.sha256)), None)


def _lost(number: TrialNumber) -> LeaseLost:
    return LeaseLost(f"The lease of trial {number} is not yours any more; its checkpoint was not stored.")


def _require_present_generation(tx: Transaction, trial: TrialRow, upload: Upload) -> None:
    """Refuse a checkpoint that does not belong to the trial's present rollback generation.

    Raises: Invalid (it has a change in it that the worker has not acknowledged), WrongState (it is from after a step
    that the run has gone back to).
    """
    if upload.version > (trial.applied_version or 0):
        detail = f"the worker has not acknowledged version {upload.version}; report it as applied_version first"
        raise Invalid(f"version: {detail}.", (FieldProblem("query:version", detail),))
    for version, step in applied_rollbacks(tx, trial):
        if upload.version < version and upload.step > step:
            void = f"its checkpoint of step {upload.step} does not count any more"
            raise WrongState(f"Trial {trial.number} has gone back to step {step}; {void}.")


def _insert(tx: Transaction, trial: TrialRow, upload: Upload, size: int, now: int) -> CheckpointRow:
    """Write the checkpoint's row, and name the checkpoint in the timeline entries that asked for it.

    All uploads of one step are the same state. Where an earlier one is stored, its value stays if this one has none,
    and the newer of the two versions counts.
    """
    entries = timeline.of_trial(tx, trial.id) if trial.desired else []
    waiting = [
        entry for entry in entries if upload.version < entry.version <= upload.wanted and entry.checkpoint is None
    ]
    for entry in waiting:
        if entry.guard is not None or entry.verb == "checkpoint":
            timeline.note(tx, trial.id, entry.version, checkpoint=upload.step)
    before = next((row for row in checkpoints.of_trial(tx, trial.id) if row.step == upload.step), None)
    version, value = timelines.version_in(entries, upload.step, upload.version), upload.value
    pinned = any(entry.verb == "checkpoint" for entry in waiting)
    if before is not None:
        version, pinned = max(version, before.version), pinned or before.pinned
        value = before.value if value is None else value
    values = {"trial_id": trial.id, "step": upload.step, "epoch": upload.epoch, "value": value}
    blob = {"sha256": upload.sha256, "size": size, "version": version, "created_at": now, "pinned": pinned}
    return checkpoints.replace(tx, values | blob)


def _drop_by_rule(tx: Transaction, study: StudyRow, trial: TrialRow) -> set[str]:
    """Delete the rows of the checkpoints that nothing keeps. The hashes of their blobs that no row names any more."""
    rule = messages.CheckpointRule.model_validate((study.task or {}).get("checkpoints") or {})
    rows = checkpoints.of_trial(tx, trial.id)
    # A guard that has not decided yet may send the run back to its checkpoint.
    needed = {entry.checkpoint for entry in timeline.watched(tx, trial.id)} if trial.desired else set()
    dropped = [row for row in dropped_by_rule(rows, rule, study.direction) if row.step not in needed]
    checkpoints.delete(tx, [row.id for row in dropped])
    hashes = {row.sha256 for row in dropped}
    return hashes - checkpoints.referenced(tx, sorted(hashes))


def dropped_by_rule(
    rows: list[CheckpointRow], rule: messages.CheckpointRule, direction: messages.Direction
) -> list[CheckpointRow]:
    """The checkpoints (in the order of their steps) that are neither among the best nor among the last, nor pinned. The
    newest stays whatever the rule is: a run goes on from it. One whose file is lost takes no other's place, and stays,
    so that everybody sees what is missing."""
    whole = [row for row in rows if row.is_whole]
    unpinned = [row for row in whole if not row.pinned]
    best = best_first((row for row in whole if row.value is not None), direction)[: rule.best]
    kept = {row.id for row in [*best, *unpinned[len(unpinned) - rule.last :]]}
    return [row for row in unpinned if row.id not in kept and row is not whole[-1]]


def listing(database: Database, name: str, number: TrialNumber) -> messages.Page[messages.Checkpoint]:
    """The trial's checkpoints, by step. Raises: NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        return messages.Page(items=[views.checkpoint(row) for row in checkpoints.of_trial(tx, trial.id)])


def content(database: Database, blobs: BlobFolder, name: str, number: TrialNumber, step: Step) -> bytes:
    """The bytes of the checkpoint of a step. Raises: NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        rows = [row for row in checkpoints.of_trial(tx, trial.id) if row.step == step]
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint at step {step}.")
    stored = blobs.read(rows[0].sha256)
    if stored is None:
        lost_checkpoints.mark(database, blobs, name, number, rows[0])
        raise NotFound(f"The file of the checkpoint at step {step} is gone or damaged.")
    if not rows[0].is_whole:
        lost_checkpoints.mark_found(database, rows[0])
    return stored


def best_content(database: Database, blobs: BlobFolder, name: str, number: TrialNumber) -> bytes:
    """The bytes of the best checkpoint by the study's metric; of the last where none has a value. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        rows = checkpoints.of_trial(tx, lookup.get_trial(tx, study, number).id)
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint.")
    ranked = best_first(rows, study.direction)
    try:
        return content(database, blobs, name, number, ranked[0].step)
    except NotFound as error:
        left = next((f"; the best of the others is that of step {row.step}" for row in ranked[1:] if row.is_whole), "")
        raise NotFound(f"{error.message.rstrip('.')}, and it is the best{left}.") from None


def best_first(rows: Iterable[CheckpointRow], direction: messages.Direction) -> list[CheckpointRow]:
    """The best by the study's metric first; of equals the later; those without a value last, the newest of them first.
    The trainer orders them in the same way."""
    sign = sign_of(direction)
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0), -row.step))
