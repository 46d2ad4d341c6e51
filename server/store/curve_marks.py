"""SQL on the marks of a trial's curve: how far rules have read it, and the reports that they hold on to."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import curve_marks
from sturgeon.identifiers import Fence, Step, TrialId, Version


@dataclass(frozen=True)
class MarkRow:
    """A row of `curve_marks`. `points`: by rule the step, epoch and metrics of the marked report, None without one."""

    trial_id: TrialId
    fence: Fence
    rollback_generation: Version
    rollback: Version | None
    step: Step
    points: dict[str, Json | None]


def find(tx: Transaction, trial_id: TrialId) -> MarkRow | None:
    row = tx.execute(sa.select(curve_marks).where(curve_marks.c.trial_id == trial_id)).one_or_none()
    return None if row is None else MarkRow(**row._mapping)


def replace(tx: Transaction, row: MarkRow) -> None:
    values = asdict(row)
    if tx.execute(curve_marks.update().where(curve_marks.c.trial_id == row.trial_id).values(values)).rowcount == 0:
        tx.execute(curve_marks.insert().values(values))
