"""Checkpoints of trials: uploaded by the lease's holder, kept by the study's rule, read by everybody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from server.services import answers, studies
from server.store import checkpoints, leases
from server.store.blobs import BlobFolder
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database
from sturgeon import messages
from sturgeon.errors import FieldProblem, Invalid, LeaseLost, NotFound


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


def keep(
    database: Database, blobs: BlobFolder, name: str, number: int, upload: Upload, content: bytes
) -> messages.Checkpoint:
    """Keep the checkpoint, and drop what the rule does not keep. Raises NotFound, Invalid (torn), LeaseLost."""
    if hashlib.sha256(content).hexdigest() != upload.sha256:
        detail = "the body's SHA-256 is another one; send all of the bytes again"
        raise Invalid(f"The checkpoint arrived torn: {detail}.", (FieldProblem("query:sha256", detail),))
    with database.reading() as tx:
        studies.required_trial(tx, studies.required(tx, name), number)
    blobs.write(content)
    with database.writing() as tx:
        study = studies.required(tx, name)
        trial = studies.required_trial(tx, study, number)
        now = tx.now()
        if leases.renew(tx, trial.id, upload.fence, now, reported=True) is None:
            raise LeaseLost(f"The lease of trial {number} is not yours any more; its checkpoint was not kept.")
        values = {"trial_id": trial.id, "step": upload.step, "epoch": upload.epoch, "value": upload.value}
        blob = {"sha256": upload.sha256, "size": len(content), "created_at": now}
        row = checkpoints.replace(tx, values | blob)
        rule = messages.CheckpointRule.model_validate((study.task or {}).get("checkpoints") or {})
        kept = checkpoints.of_trial(tx, trial.id)
        dropped = dropped_by_rule(kept, rule, study.direction)
        checkpoints.delete(tx, [c.id for c in dropped])
        gone = {c.sha256 for c in dropped}
        gone -= checkpoints.referenced(tx, sorted(gone))
    for sha256 in gone:
        blobs.delete(sha256)
    return answer(row)


def dropped_by_rule(
    rows: list[CheckpointRow], rule: messages.CheckpointRule, direction: messages.Direction
) -> list[CheckpointRow]:
    """The checkpoints (in the order of their steps) that are neither among the best nor among the last."""
    kept = {c.id for c in by_value(rows, direction)[: rule.best]} | {c.id for c in rows[len(rows) - rule.last :]}
    return [c for c in rows if c.id not in kept]


def listing(database: Database, name: str, number: int) -> messages.Page[messages.Checkpoint]:
    with database.reading() as tx:
        trial = studies.required_trial(tx, studies.required(tx, name), number)
        return messages.Page(items=[answer(row) for row in checkpoints.of_trial(tx, trial.id)])


def content(database: Database, blobs: BlobFolder, name: str, number: int, step: int) -> bytes:
    """The bytes. Raises NotFound."""
    with database.reading() as tx:
        trial = studies.required_trial(tx, studies.required(tx, name), number)
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
        study = studies.required(tx, name)
        rows = checkpoints.of_trial(tx, studies.required_trial(tx, study, number).id)
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint.")
    return content(database, blobs, name, number, (by_value(rows, study.direction) or rows[-1:])[0].step)


def by_value(rows: list[CheckpointRow], direction: messages.Direction) -> list[CheckpointRow]:
    """Those with a value, the best first; of equals the earlier."""
    sign = 1 if direction == "minimize" else -1
    return sorted((c for c in rows if c.value is not None), key=lambda c: (sign * (c.value or 0.0), c.step))


def answer(row: CheckpointRow) -> messages.Checkpoint:
    return messages.Checkpoint(
        step=row.step,
        epoch=row.epoch,
        value=row.value,
        sha256=row.sha256,
        size=row.size,
        created_at=answers.moment(row.created_at),
    )
