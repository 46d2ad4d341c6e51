"""Checkpoints of trials: the lease's holder uploads them, the study's rule drops some, and everybody reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from server.services import lookup, views
from server.services.trials import lost_checkpoints
from server.store import checkpoints
from server.store.blobs import BlobFolder
from server.store.checkpoints import CheckpointRow
from server.store.engine import Database
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.errors import NotFound
from sturgeon.identifiers import Step, StudyId, TrialNumber


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


def content(database: Database, blobs: BlobFolder, name: str, number: TrialNumber, step: Step) -> BinaryIO:
    """The file of the checkpoint of a step, to be closed. Raises: NotFound."""
    with database.reading() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        rows = [row for row in checkpoints.of_trial(tx, trial.id) if row.step == step]
    if not rows:
        raise NotFound(f"Trial {number} of {name} has no checkpoint at step {step}.")
    stored = blobs.open(rows[0].sha256)
    if stored is None:
        lost_checkpoints.mark(database, blobs, name, number, rows[0])
        raise NotFound(f"The file of the checkpoint at step {step} is gone or damaged.")
    if not rows[0].is_whole:
        lost_checkpoints.mark_found(database, rows[0])
    return stored


def best_content(
    database: Database, blobs: BlobFolder, name: str, number: TrialNumber, study_id: StudyId | None = None
) -> BinaryIO:
    """The file of the best checkpoint by the study's metric, to be closed; of the last where none has a value.

    study_id: the study that is meant. Raises: NotFound (also where another study has the name by now).
    """
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        if study_id not in (None, study.id):
            raise NotFound(f"The study {name} that was meant was deleted, and another one has its name.")
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
