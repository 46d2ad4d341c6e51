"""Checkpoints of trials: uploaded by the lease's holder, kept by the study's rule, read by everybody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from server.policies import timelines
from server.services import blob_sweep, lookup, views
from server.services.runs.curve import applied_rollbacks
from server.store import checkpoints, leases, timeline
from server.store.blobs import BlobFolder
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import FieldProblem, Invalid, LeaseLost, NotFound, WrongState


@dataclass(frozen=True)
class Upload:
    """What comes with the bytes: the fence, where in the run, and how good (`value`: the study's metric there)."""

    fence: int
    step: int
    sha256: str
    epoch: float | None
    value: float | None
    version: int = 0
    wanted: int = 0


def store_checkpoint(
    database: Database, blobs: BlobFolder, name: str, number: int, upload: Upload, content: bytes
) -> messages.Checkpoint:
    """Keep the checkpoint, and drop what the rule does not keep.

    Raises: NotFound, LeaseLost, Invalid (torn, or with a change in it that was not acknowledged), WrongState (the run
    went back behind it since).
    """
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        detail = "the body's SHA-256 is another one; send all of the bytes again"
        raise Invalid(f"The checkpoint arrived torn: {detail}.", (FieldProblem("query:sha256", detail),))
    with database.reading() as tx:  # what will be refused is not written to the disk first
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        if not leases.is_held(trial, upload.fence):
            raise _lost(number)
        _require_of_this_leg(tx, trial, upload)
    blobs.ensure(upload.sha256, content)
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        now = tx.now()
        held = leases.renew(tx, trial.id, upload.fence, now, reported=True)
        if held is None:
            raise _lost(number)
        _require_of_this_leg(tx, held, upload)
        checkpoints.hold_blobs(tx)
        blobs.ensure(upload.sha256, content)  # it may have been deleted since, as one that nobody named
        row = _insert(tx, held, upload, len(content), now)
        dropped = _drop_by_rule(tx, study, held)
    blob_sweep.delete_unnamed(database, blobs, dropped)
    return answer(row)


def _lost(number: int) -> LeaseLost:
    return LeaseLost(f"The lease of trial {number} is not yours any more; its checkpoint was not kept.")


def _require_of_this_leg(tx: Transaction, trial: TrialRow, upload: Upload) -> None:
    """A state with a change in it that nobody acknowledged, or behind a step that the run went back to, is none of the
    trial's. Raises Invalid, WrongState."""
    if upload.version > (trial.applied_version or 0):
        detail = f"version {upload.version} is not acknowledged; report it as applied_version first"
        raise Invalid(f"version: {detail}.", (FieldProblem("query:version", detail),))
    for version, step in applied_rollbacks(tx, trial):
        if upload.version < version and upload.step > step:
            raise WrongState(f"Trial {trial.number} went back to step {step} since; step {upload.step} was left.")


def _insert(tx: Transaction, trial: TrialRow, upload: Upload, size: int, now: int) -> CheckpointRow:
    """The row, and in the timeline of those who asked for it that it is there.

    Of one step all uploads are the same state, which an earlier run or another rule may have sent before: it keeps its
    value, and the newest version, that of whoever asked for it last.
    """
    entries = timeline.of_trial(tx, trial.id) if trial.desired else []
    asked = [one for one in entries if upload.version < one.version <= upload.wanted and one.checkpoint is None]
    for one in asked:
        if one.guard is not None or one.verb == "checkpoint":
            timeline.note(tx, trial.id, one.version, checkpoint=upload.step)
    before = next((one for one in checkpoints.of_trial(tx, trial.id) if one.step == upload.step), None)
    version, value = timelines.version_in(entries, upload.step, upload.version), upload.value
    pinned = any(one.verb == "checkpoint" for one in asked)
    if before is not None:
        version, pinned = max(version, before.version), pinned or before.pinned
        value = before.value if value is None else value
    values = {"trial_id": trial.id, "step": upload.step, "epoch": upload.epoch, "value": value}
    blob = {"sha256": upload.sha256, "size": size, "version": version, "created_at": now, "pinned": pinned}
    return checkpoints.replace(tx, values | blob)


def _drop_by_rule(tx: Transaction, study: StudyRow, trial: TrialRow) -> set[str]:
    """Forget the checkpoints that nothing keeps; the hashes of their blobs, if nobody names them any more."""
    rule = messages.CheckpointRule.model_validate((study.task or {}).get("checkpoints") or {})
    kept = checkpoints.of_trial(tx, trial.id)
    needed = {one.checkpoint for one in timeline.watched(tx, trial.id)} if trial.desired else set()
    dropped = [one for one in dropped_by_rule(kept, rule, study.direction) if one.step not in needed]
    checkpoints.delete(tx, [c.id for c in dropped])
    gone = {c.sha256 for c in dropped}
    return gone - checkpoints.referenced(tx, sorted(gone))


def dropped_by_rule(
    rows: list[CheckpointRow], rule: messages.CheckpointRule, direction: messages.Direction
) -> list[CheckpointRow]:
    """The checkpoints (in the order of their steps) that are neither among the best nor among the last, nor pinned. The
    newest stays whatever the rule: a run goes on from it."""
    of_rule = [c for c in rows if not c.pinned]
    kept = {c.id for c in by_value(rows, direction)[: rule.best]} | {c.id for c in of_rule[len(of_rule) - rule.last :]}
    return [c for c in of_rule if c.id not in kept and c is not rows[-1]]


def listing(database: Database, name: str, number: int) -> messages.Page[messages.Checkpoint]:
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        return messages.Page(items=[answer(row) for row in checkpoints.of_trial(tx, trial.id)])


def content(database: Database, blobs: BlobFolder, name: str, number: int, step: int) -> bytes:
    """The bytes. Raises NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        rows = [c for c in checkpoints.of_trial(tx, trial.id) if c.step == step]
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint at step {step}.")
    found = blobs.read(rows[0].sha256)
    if found is None:
        raise NotFound(f"The file of the checkpoint at step {step} is gone or damaged.")
    return found


def best_content(database: Database, blobs: BlobFolder, name: str, number: int) -> bytes:
    """The bytes of the best checkpoint by the study's metric; of the last where none has a value. Raises NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        rows = checkpoints.of_trial(tx, lookup.get_trial(tx, study, number).id)
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint.")
    return content(database, blobs, name, number, (by_value(rows, study.direction) or rows[-1:])[0].step)


def by_value(rows: list[CheckpointRow], direction: messages.Direction) -> list[CheckpointRow]:
    """Those with a value, the best first; of equals the later, as the trainer has it."""
    sign = 1 if direction == "minimize" else -1
    return sorted((c for c in rows if c.value is not None), key=lambda c: (sign * (c.value or 0.0), -c.step))


def answer(row: CheckpointRow) -> messages.Checkpoint:
    return messages.Checkpoint(
        step=row.step,
        epoch=row.epoch,
        value=row.value,
        sha256=row.sha256,
        size=row.size,
        version=row.version,
        pinned=row.pinned,
        created_at=views.moment(row.created_at),
    )
