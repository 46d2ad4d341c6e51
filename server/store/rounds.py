"""SQL on the rounds of coarse to fine: what was believed when each began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import rounds


@dataclass(frozen=True)
class RoundRow:
    """A row of `rounds`. `learnt_from` is the hash of the results that the round began with."""

    study_id: int
    revision: int
    number: int
    learnt_from: str
    body: dict[str, Any]
    numerics: str
    at: int


def keep(tx: Transaction, row: RoundRow) -> None:
    """Keep it as it was first seen: no effect where a round of the same beginning is known."""
    values = {**row.__dict__}
    tx.execute(tx.insert_new(rounds, "study_id", "revision", "number", "learnt_from").values(values))


def of_study(tx: Transaction, study_id: int) -> Sequence[RoundRow]:
    """Those of all revisions, in the order in which they began."""
    columns = [column for column in rounds.c if column.name != "id"]
    statement = sa.select(*columns).where(rounds.c.study_id == study_id)
    found = tx.execute(statement.order_by(rounds.c.id))
    return [RoundRow(**row._mapping) for row in found]
