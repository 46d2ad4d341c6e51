"""SQL on what tables and pictures show of trials: some columns of many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.changes import trials_since
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import trials
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.states import Mode, TrialState


class TrialCells(NamedTuple):
    """What is shown of a trial, as its row has it."""

    number: TrialNumber
    state: TrialState
    mode: Mode
    params: Json
    live_overrides: Json | None
    value: float | None
    best_score: float | None
    predicted_value: float | None
    run_epoch: float | None
    spent_us: int
    worker: str | None
    attempt: int
    error: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    invalid_reason: str | None
    parent_number: TrialNumber | None
    group_number: TrialNumber | None
    tags: list[str]
    sampler: str | None
    drawn: Json


_CELLS: Final = sa.select(*(trials.c[name] for name in TrialCells._fields)).order_by(trials.c.number)


def _read(tx: Transaction, statement: sa.Select[Any]) -> list[TrialCells]:
    return [TrialCells(*row) for row in tx.execute(statement)]


def since(tx: Transaction, study_id: StudyId, moment: str, after: int, most: int) -> list[TrialCells]:
    """Up to `most` trials that have changed since a moment, of numbers above `after`, by number."""
    statement = _CELLS.where(trials_since(study_id, moment), trials.c.number > after)
    return _read(tx, statement.limit(most))


_GOING_ON: Final = sa.select(trials.c.number, trials.c.spent_us).where(
    trials.c.study_id == sa.bindparam("study"), trials.c.left_seq.is_(None)
)


def seconds_of_going_on(tx: Transaction, study_id: StudyId) -> dict[TrialNumber, float]:
    """Number -> for how long workers have held it, of the trials that have not ended."""
    return {number: spent_us / 1e6 for number, spent_us in tx.execute(_GOING_ON, {"study": study_id})}


def newest_and_best(tx: Transaction, study_id: StudyId, newest: int, best: int, sign: float) -> list[TrialCells]:
    """The `newest` trials of a study and the `best` of those before them (sign times the value, less is better), by
    number."""
    of_study = sa.select(trials.c.number).where(trials.c.study_id == study_id)
    first = of_study.order_by(trials.c.number.desc()).offset(newest - 1).limit(1)
    first_number: int | None = tx.execute(first).scalar_one_or_none()
    statement = _CELLS.where(trials.c.study_id == study_id)
    if first_number is None:
        return _read(tx, statement)
    earlier = of_study.where(trials.c.number < first_number, trials.c.state == "complete")
    earlier = earlier.where(trials.c.invalid_reason.is_(None)).order_by(sign * trials.c.value, trials.c.number)
    numbers: Sequence[int] = tx.execute(earlier.limit(best)).scalars().all()
    among = trials.c.number.in_(sa.bindparam("numbers", expanding=True))
    before = tx.execute(statement.where(among), {"numbers": list(numbers)})
    return [*(TrialCells(*row) for row in before), *_read(tx, statement.where(trials.c.number >= first_number))]
