"""The statement that nearly every request begins with: a study's row, locked or not. What the transaction needs to know
of time and fences comes with it, so that none of that costs a statement of its own."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import POSTGRES_CLOCK, Told, Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.tables import floors, idempotency_keys, steady_clock, studies, trials
from server.store.trials import TrialRow
from sturgeon.identifiers import TrialNumber

_NAMED: Final = sa.select(studies).where(studies.c.name == sa.bindparam("name"))
_OF_STUDY: Final = len(studies.c)
_TOLD: Final = _OF_STUDY + len(Told._fields)


def find(tx: Transaction, name: str) -> StudyRow | None:
    """The study of this name."""
    return _study(_read(tx, _found(is_sqlite=tx.is_sqlite), {"name": name}))


def find_with_trial(tx: Transaction, name: str, number: TrialNumber) -> tuple[StudyRow | None, TrialRow | None]:
    """The study of this name and its trial of this number; neither is locked."""
    row = _read(tx, _with_trial(is_sqlite=tx.is_sqlite), {"name": name, "number": number})
    if row is None:
        return None, None
    of_trial = row[_TOLD:]
    return _study(row), None if of_trial[0] is None else TrialRow(*of_trial)


def lock(tx: Transaction, name: str) -> StudyRow | None:
    """The study, its row locked.

    Its key is not locked: a transaction that has locked a trial may still write an event, which refers to the study.
    """
    tx.lock_order.before_study()
    return _study(_read(tx, _locked(is_sqlite=tx.is_sqlite), {"name": name}))


class Asked(NamedTuple):
    """A study that is asked for trials, its row locked. The rest is as it was before the lock was waited for.

    has_queued: whether it has queued trials. stored: of the request that has used the idempotency key before, its hash
    and its answer; None where none has.
    """

    study: StudyRow
    has_queued: bool
    stored: tuple[str, Json | None] | None


def lock_for_ask(tx: Transaction, name: str, key: str | None) -> Asked | None:
    """As `lock`, with what an ask has to know beside. key: its idempotency key."""
    tx.lock_order.before_study()
    row = _read(tx, _for_ask(is_sqlite=tx.is_sqlite), {"name": name, "idempotency_key": key})
    if row is None:
        return None
    has_queued, request_sha256, answer = row[_TOLD:]
    return Asked(StudyRow(*row[:_OF_STUDY]), has_queued, None if request_sha256 is None else (request_sha256, answer))


def _read(tx: Transaction, statement: sa.Select[Any], parameters: Json) -> tuple[Any, ...] | None:
    asked_at = tx.monotonic_us()
    rows = tx.run(statement, parameters).rows
    row = rows[0] if rows else None  # a name belongs to one study
    if row is not None:
        tx.learn(Told(*row[_OF_STUDY:_TOLD]), asked_at)
    return row


def _study(row: tuple[Any, ...] | None) -> StudyRow | None:
    return None if row is None else StudyRow(*row[:_OF_STUDY])


@cache
def _found(*, is_sqlite: bool) -> sa.Select[Any]:
    return _NAMED.select_from(_beside(studies)).add_columns(*_told(is_sqlite=is_sqlite))


@cache
def _with_trial(*, is_sqlite: bool) -> sa.Select[Any]:
    of_study = sa.and_(trials.c.study_id == studies.c.id, trials.c.number == sa.bindparam("number"))
    joined = _beside(studies.outerjoin(trials, of_study))
    return _NAMED.select_from(joined).add_columns(*_told(is_sqlite=is_sqlite), *trials.c)


@cache
def _locked(*, is_sqlite: bool) -> sa.Select[Any]:
    if is_sqlite:  # there the write transaction is the lock
        return _found(is_sqlite=True)
    row = _locked_row()
    return sa.select(row).select_from(_beside(row)).add_columns(*_told(is_sqlite=False))


@cache
def _for_ask(*, is_sqlite: bool) -> sa.Select[Any]:
    row = studies if is_sqlite else _locked_row()
    key, of_key = idempotency_keys, idempotency_keys.c.key == sa.bindparam("idempotency_key", type_=sa.Text)
    # A trial that has not ended has no `left_seq`: so the index finds the few among very many.
    queued = sa.exists().where(
        trials.c.study_id == row.c.id, trials.c.left_seq.is_(None), trials.c.state == sa.literal_column("'queued'")
    )
    statement = _NAMED if is_sqlite else sa.select(row)
    return statement.select_from(_beside(row).outerjoin(key, of_key)).add_columns(
        *_told(is_sqlite=is_sqlite), queued.label("has_queued"), key.c.request_sha256, key.c.answer
    )


def _locked_row() -> sa.CTE:
    """Materialized, so that PostgreSQL reads the clock after it has waited for the lock: a SELECT that locks computes
    its other columns first."""
    return _NAMED.with_for_update(key_share=True).cte("locked").prefix_with("MATERIALIZED")


def _beside(row: sa.FromClause) -> sa.FromClause:
    """With the tables that have one row at most."""
    return row.outerjoin(steady_clock, sa.true()).outerjoin(floors, sa.true())


def _told(*, is_sqlite: bool) -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of `Told`."""
    clock = sa.null() if is_sqlite else POSTGRES_CLOCK
    return steady_clock.c.steps, steady_clock.c.offset_us, floors.c.fence.label("fence_given"), clock.label("wall")
