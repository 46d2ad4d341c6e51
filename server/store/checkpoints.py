"""SQL on checkpoints: which blob is a trial's state at which step. The blobs themselves are in `blobs.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import checkpoints, trials
from sturgeon.identifiers import Step, StudyId, TrialId, Version

BLOBS_LOCK: Final = 0x626C6F6273  # "blobs": the advisory lock of PostgreSQL between uploads and deletions


@dataclass(frozen=True)
class CheckpointRow:
    """A row of `checkpoints`."""

    id: int
    trial_id: TrialId
    step: Step
    epoch: float | None
    value: float | None
    sha256: str
    size: int
    version: Version
    pinned: bool
    created_at: int
    lost_at: int | None

    @property
    def is_whole(self) -> bool:
        """Whether its file is there, as far as is known."""
        return self.lost_at is None


def of_trial(tx: Transaction, trial_id: TrialId) -> list[CheckpointRow]:
    """The trial's checkpoints in the order of their steps."""
    statement = sa.select(checkpoints).where(checkpoints.c.trial_id == trial_id).order_by(checkpoints.c.step)
    return [CheckpointRow(**row._mapping) for row in tx.execute(statement)]


def replace(tx: Transaction, values: Json) -> CheckpointRow:
    """Write the checkpoint of a step; an earlier one of the same step is deleted."""
    here = sa.and_(checkpoints.c.trial_id == values["trial_id"], checkpoints.c.step == values["step"])
    tx.execute(checkpoints.delete().where(here))
    row = tx.execute(checkpoints.insert().values(values).returning(checkpoints)).one()
    return CheckpointRow(**row._mapping)


def delete_after(tx: Transaction, trial_id: TrialId, step: Step) -> None:
    """Delete the checkpoints after a step that the run went back to. (The sweep deletes their blobs later.)"""
    tx.execute(checkpoints.delete().where(checkpoints.c.trial_id == trial_id, checkpoints.c.step > step))


def pin(tx: Transaction, trial_id: TrialId, step: Step) -> None:
    """Pin the checkpoint of a step: no rule drops it from now on."""
    here = sa.and_(checkpoints.c.trial_id == trial_id, checkpoints.c.step == step)
    tx.execute(checkpoints.update().where(here).values(pinned=True))


def mark_lost(tx: Transaction, checkpoint_id: int, at: int | None) -> None:
    """Note when it was noticed that the file is gone or damaged; None when it is there again."""
    tx.execute(checkpoints.update().where(checkpoints.c.id == checkpoint_id).values(lost_at=at))


def delete(tx: Transaction, ids: Iterable[int]) -> None:
    """Delete these checkpoints. (Their blobs are deleted by services.blob_sweep.)"""
    tx.execute(checkpoints.delete().where(checkpoints.c.id.in_(list(ids))))


def of_study(tx: Transaction, study_id: StudyId) -> list[str]:
    """The hashes of all checkpoints of the study."""
    statement = sa.select(checkpoints.c.sha256).join(trials, trials.c.id == checkpoints.c.trial_id)
    return list(tx.execute(statement.where(trials.c.study_id == study_id).distinct()).scalars())


def size_of_study(tx: Transaction, study_id: StudyId) -> int:
    """The bytes of all checkpoints of the study; what several trials share counts once."""
    own = sa.select(checkpoints.c.sha256, checkpoints.c.size).join(trials, trials.c.id == checkpoints.c.trial_id)
    return _total(tx, own.where(trials.c.study_id == study_id))


def total_size(tx: Transaction) -> int:
    """The bytes of all checkpoints; what several share counts once."""
    return _total(tx, sa.select(checkpoints.c.sha256, checkpoints.c.size))


def _total(tx: Transaction, rows: sa.Select[Any]) -> int:
    blobs = rows.distinct().subquery()
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.sum(blobs.c.size), 0))).scalar_one())


def referenced(tx: Transaction, hashes: Sequence[str]) -> set[str]:
    """Which of these hashes some checkpoint still names."""
    statement = sa.select(checkpoints.c.sha256).where(checkpoints.c.sha256.in_(list(hashes))).distinct()
    return set(tx.execute(statement).scalars())


def hold_blobs(tx: Transaction) -> None:
    """Keep all blobs from being deleted until the end of this transaction.

    To be called after the trial's row is locked, and before a row is written for an uploaded blob. A row that copies
    another row's blob needs only the lock on that row's trial.
    """
    if not tx.is_sqlite:  # there the write transaction is the lock
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(BLOBS_LOCK)))


def lock_blobs(tx: Transaction) -> None:
    """Keep all uploads from writing a row until the end of this transaction: `referenced` stays true meanwhile."""
    if not tx.is_sqlite:
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(BLOBS_LOCK)))
