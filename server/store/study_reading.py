"""The statement that nearly every request begins with: a study's row, locked or not. What the transaction needs to know
of time and fences comes with it, so that none of that costs a statement of its own."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import POSTGRES_CLOCK, Told, Transaction
from server.store.studies import StudyRow
from server.store.tables import floors, steady_clock, studies, trials
from server.store.trials import TrialRow
from sturgeon.identifiers import TrialNumber

_NAMED: Final = sa.select(studies).where(studies.c.name == sa.bindparam("name"))


def find(tx: Transaction, name: str) -> StudyRow | None:
    """The study of this name."""
    return _read(tx, name, lock=False)


def find_with_trial(tx: Transaction, name: str, number: TrialNumber) -> tuple[StudyRow | None, TrialRow | None]:
    """The study of this name and its trial of this number; neither is locked."""
    asked_at = tx.monotonic_us()
    row = tx.execute(_with_trial(is_sqlite=tx.is_sqlite), {"name": name, "number": number}).one_or_none()
    if row is None:
        return None, None
    tx.learn(Told(*row[-4:]), asked_at)
    of_study, of_trial = row[: len(studies.c)], row[len(studies.c) : -4]
    return StudyRow(*of_study), None if of_trial[0] is None else TrialRow(*of_trial)


def lock(tx: Transaction, name: str) -> StudyRow | None:
    """The study, its row locked.

    Its key is not locked: a transaction that has locked a trial may still write an event, which refers to the study.
    """
    tx.lock_order.before_study()
    return _read(tx, name, lock=True)


def _read(tx: Transaction, name: str, *, lock: bool) -> StudyRow | None:
    asked_at = tx.monotonic_us()
    statement = _statement(lock=lock and not tx.is_sqlite, is_sqlite=tx.is_sqlite)
    row = tx.execute(statement, {"name": name}).one_or_none()
    if row is None:
        return None
    tx.learn(Told(*row[-4:]), asked_at)
    return StudyRow(*row[:-4])


@cache
def _statement(*, lock: bool, is_sqlite: bool) -> sa.Select[Any]:
    if not lock:  # on SQLite the write transaction is the lock
        return _with_clock(_NAMED, studies, is_sqlite=is_sqlite)
    # Materialized, so that PostgreSQL reads the clock after it has waited for the lock: a SELECT that locks computes
    # its other columns first.
    locked = _NAMED.with_for_update(key_share=True).cte("locked").prefix_with("MATERIALIZED")
    return _with_clock(sa.select(locked), locked, is_sqlite=False)


@cache
def _with_trial(*, is_sqlite: bool) -> sa.Select[Any]:
    of_study = sa.and_(trials.c.study_id == studies.c.id, trials.c.number == sa.bindparam("number"))
    return _with_clock(_NAMED.add_columns(*trials.c), studies.outerjoin(trials, of_study), is_sqlite=is_sqlite)


def _with_clock(study: sa.Select[Any], its_row: sa.FromClause, *, is_sqlite: bool) -> sa.Select[Any]:
    """With four columns more, those of `Told`. Of the tables that are joined there is one row."""
    clock = sa.null() if is_sqlite else POSTGRES_CLOCK
    joined = its_row.outerjoin(steady_clock, sa.true()).outerjoin(floors, sa.true())
    return study.select_from(joined).add_columns(
        steady_clock.c.steps, steady_clock.c.offset_us, floors.c.fence.label("fence_given"), clock.label("wall")
    )
