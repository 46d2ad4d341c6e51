"""SQL on the marks of a trial's curve: where a rule has come to in it, and the report that it holds on to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import curve_marks


@dataclass(frozen=True)
class MarkRow:
    """A row of `curve_marks`. `point`: step, epoch and metrics of the marked report; None while there is none."""

    trial_id: int
    name: str
    fence: int
    rollback_generation: int
    rollback: int | None
    step: int
    point: dict[str, Any] | None


def find(tx: Transaction, trial_id: int, name: str) -> MarkRow | None:
    statement = sa.select(curve_marks).where(curve_marks.c.trial_id == trial_id, curve_marks.c.name == name)
    row = tx.execute(statement).one_or_none()
    return None if row is None else MarkRow(**row._mapping)


def replace(tx: Transaction, row: MarkRow) -> None:
    here = sa.and_(curve_marks.c.trial_id == row.trial_id, curve_marks.c.name == row.name)
    if tx.execute(curve_marks.update().where(here).values(asdict(row))).rowcount == 0:
        tx.execute(curve_marks.insert().values(asdict(row)))
