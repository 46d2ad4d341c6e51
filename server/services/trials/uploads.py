"""Uploads of checkpoints: refused before the body is read where that can be, and written to the disk as they come."""

from __future__ import annotations

from dataclasses import dataclass

from server.policies import timelines
from server.services import blob_sweep, lookup, views
from server.services.quotas import Quotas
from server.services.runs.curve import applied_rollbacks
from server.services.trials.checkpoints import dropped_by_rule
from server.store import checkpoints, holders, leases, timeline
from server.store.blobs import BlobFolder, Incoming
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import Contradiction, FieldProblem, LeaseLost, QuotaExceeded, WrongState
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


def admit(database: Database, name: str, number: TrialNumber, upload: Upload) -> messages.Checkpoint | None:
    """Refuse what the body cannot mend, before any of it is read. The stored checkpoint, if this very upload has come
    before; its lease may be lost by now.

    Raises: NotFound, LeaseLost, Contradiction (it has a change in it that the worker has not acknowledged), WrongState
    (the run has gone back to an earlier step since).
    """
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        if not holders.is_held(tx, trial, upload.fence):
            if (stored := _same(tx, study, trial, upload)) is not None:
                return views.checkpoint(stored)
            raise _lost(number)
        _require_present_generation(tx, trial, upload)
    return None


def store(
    database: Database,
    blobs: BlobFolder,
    quotas: Quotas,
    name: str,
    number: TrialNumber,
    upload: Upload,
    incoming: Incoming,
) -> messages.Checkpoint:
    """Store the checkpoint that has come, and drop those that the study's rule does not keep.

    Raises: as `admit`, Unavailable (the disk does not take it), Contradiction (the bytes are torn), QuotaExceeded.
    """
    if incoming.sha256 != upload.sha256:
        detail = "the body's SHA-256 is not the query's; send all bytes again"
        raise Contradiction(f"The checkpoint arrived torn: {detail}.", (FieldProblem("query:sha256", detail),))
    with database.reading() as tx:
        _require_kind(lookup.get_study(tx, name), incoming)
    blobs.ensure(upload.sha256, incoming)
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        leased = leases.renew(tx, trial, upload.fence, reported=True)
        if leased is None:
            raise _lost(number)
        _require_present_generation(tx, leased, upload)
        checkpoints.hold_blobs(tx)
        row = _insert(tx, leased, upload, incoming.size, tx.now())
        dropped = _drop_by_rule(tx, study, leased)
        _require_room(tx, study, quotas)
        blobs.keep(upload.sha256, incoming)  # the sweep may have deleted it since: no row named it yet
    blob_sweep.delete_unnamed(database, blobs, dropped)
    return views.checkpoint(row)


def _require_kind(study: StudyRow, incoming: Incoming) -> None:
    """Raises: Contradiction (a packed folder, from which no network can go on)."""
    if study.trains and incoming.is_tar:
        raise Contradiction(f"The trials of {study.name} are networks, which are stored as npz; this is a tar file.")


def _require_room(tx: Transaction, study: StudyRow, quotas: Quotas) -> None:
    """Raises: QuotaExceeded."""
    size = checkpoints.size_of_study(tx, study.id)
    if size > quotas.checkpoints_size:
        raise QuotaExceeded(
            f"With this one the checkpoints of {study.name} would take {size} bytes; a study may have "
            f"{quotas.checkpoints_size}. Keep fewer of each trial, delete studies, or raise STURGEON_MAX_STUDY_MB."
        )


def _same(tx: Transaction, study: StudyRow, trial: TrialRow, upload: Upload) -> CheckpointRow | None:
    """The checkpoint that this very upload has stored: it is sent again, since its answer was lost."""
    if not holders.was_held(tx, study, trial, upload.fence):
        return None
    rows = checkpoints.of_trial(tx, trial.id)
    return next((row for row in rows if (row.step, row.sha256) == (upload.step, upload.sha256)), None)


def _lost(number: TrialNumber) -> LeaseLost:
    return LeaseLost(f"The lease of trial {number} is not yours any more; its checkpoint was not stored.")


def _require_present_generation(tx: Transaction, trial: TrialRow, upload: Upload) -> None:
    """Refuse a checkpoint that does not belong to the trial's present rollback generation.

    Raises: Contradiction (it has a change in it that the worker has not acknowledged), WrongState (it is from after
    a step that the run has gone back to).
    """
    if upload.version > (trial.applied_version or 0):
        detail = f"the worker has not acknowledged version {upload.version}; report it as applied_version first"
        raise Contradiction(f"version: {detail}.", (FieldProblem("query:version", detail),))
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
