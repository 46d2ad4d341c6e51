"""SQL on how trials came to their parameters."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import trials
from sturgeon.identifiers import StudyId, TrialNumber


@dataclass(frozen=True)
class DrawnRow:
    """How a trial was drawn, and its result. counts: it is complete, and not invalid."""

    number: TrialNumber
    revision: int
    basis_seq: int
    drawn: Json
    value: float | None
    counts: bool


@dataclass(frozen=True)
class HandedOutRow:
    """The parameters that a trial has, and where they lie in the space of its revision."""

    revision: int
    params: Json
    point: list[float]


def handed_out(tx: Transaction, study_id: StudyId, start: int, below: int) -> list[HandedOutRow]:
    """The parameters of all trials with numbers from `start` to before `below`, by number, whatever became of them; of
    replicates those of the first. A trial's number and parameters never change."""
    statement = sa.select(trials.c.revision, trials.c.params, trials.c.point).where(
        trials.c.study_id == study_id,
        trials.c.number >= start,
        trials.c.number < below,
        trials.c.mode == "caviar",  # pandas were not drawn
        sa.or_(trials.c.group_number.is_(None), trials.c.group_number == trials.c.number),
    )
    return [HandedOutRow(**row._mapping) for row in tx.execute(statement.order_by(trials.c.number))]


def drawn(tx: Transaction, study_id: StudyId) -> list[DrawnRow]:
    """All trials that a sampler drew, by number."""
    counts = sa.and_(trials.c.state == "complete", trials.c.invalid_seq.is_(None))
    origin = (trials.c.number, trials.c.revision, trials.c.basis_seq, trials.c.drawn)
    statement = sa.select(*origin, trials.c.value, counts.label("counts"))
    rows = tx.execute(
        statement.where(trials.c.study_id == study_id, trials.c.sampler.is_not(None)).order_by(trials.c.number)
    )
    return [DrawnRow(**row._mapping) for row in rows]
