"""SQL on amounts: how many trials of a study are in each state, and what they have used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import trials

MOST_EPOCHS: Final = 1e30
"""A trial counts with so many epochs at most. None that reports what it may comes near it; but rows from before epochs
were limited may hold more, and PostgreSQL refuses a sum that overflows."""


@dataclass
class Amounts:
    """How many trials of a study are in each state, and what all its trials have used."""

    counts: dict[str, int] = field(default_factory=dict)
    epochs: float = 0.0
    seconds: float = 0.0


def _at_most(column: sa.Column[float], most: float) -> sa.ColumnElement[float]:
    return sa.case((column > most, most), else_=column)


_AMOUNTS: Final = (
    sa.select(
        trials.c.study_id,
        trials.c.state,
        sa.func.count(),
        sa.func.sum(_at_most(trials.c.spent_epochs, MOST_EPOCHS)),
        sa.func.sum(trials.c.spent_us),
    )
    .where(trials.c.study_id.in_(sa.bindparam("studies", expanding=True)))
    .group_by(trials.c.study_id, trials.c.state)
)


def of_studies(tx: Transaction, study_ids: Sequence[int]) -> dict[int, Amounts]:
    """Study id -> what its trials come to."""
    used = {study_id: Amounts() for study_id in study_ids}
    for study_id, state, count, epochs, microseconds in tx.execute(_AMOUNTS, {"studies": list(study_ids)}):
        used[study_id].counts[state] = count
        used[study_id].epochs += epochs
        used[study_id].seconds += int(microseconds) / 1e6
    return used
