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


def drawn(tx: Transaction, study_id: StudyId) -> list[DrawnRow]:
    """All trials that a sampler drew, by number."""
    counts = sa.and_(trials.c.state == "complete", trials.c.invalid_seq.is_(None))
    origin = (trials.c.number, trials.c.revision, trials.c.basis_seq, trials.c.drawn)
    statement = sa.select(*origin, trials.c.value, counts.label("counts"))
    rows = tx.execute(
        statement.where(trials.c.study_id == study_id, trials.c.sampler.is_not(None)).order_by(trials.c.number)
    )
    return [DrawnRow(**row._mapping) for row in rows]
