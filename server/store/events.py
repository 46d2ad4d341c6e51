"""SQL on events: what happened to a study and its trials, by people and by the server."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import events
from sturgeon.identifiers import StudyId, TrialNumber


@dataclass(frozen=True)
class EventRow:
    """A row of `events`."""

    id: int
    study_id: StudyId
    number: TrialNumber | None
    kind: str
    detail: Json
    at: int


def insert(
    tx: Transaction, study_id: StudyId, kind: str, now: int, number: TrialNumber | None = None, **detail: object
) -> None:
    tx.execute(events.insert().values(study_id=study_id, number=number, kind=kind, detail=detail, at=now))


def page(tx: Transaction, study_id: StudyId, after: int, size: int) -> list[EventRow]:
    statement = sa.select(events).where(events.c.study_id == study_id, events.c.id > after)
    return [EventRow(**row._mapping) for row in tx.execute(statement.order_by(events.c.id).limit(size))]


def known_keys(
    tx: Transaction, study_id: StudyId, number: TrialNumber, kinds: Collection[str], keys: Collection[str]
) -> set[str]:
    """Which of these keys the events of these kinds have that a trial's runs reported."""
    key = events.c.detail["key"].as_string()
    statement = sa.select(key).where(
        events.c.study_id == study_id,
        events.c.kind.in_(sorted(kinds)),
        events.c.number == number,
        key.in_(sorted(keys)),
    )
    return set(tx.execute(statement).scalars())


def newest(
    tx: Transaction, study_id: StudyId, kinds: tuple[str, ...], number: TrialNumber | None = None
) -> dict[str, EventRow]:
    """The newest event of each of these kinds that there is; of one trial, if its number is given."""
    rows = tx.execute(_newest(kinds, of_trial=number is not None), {"study": study_id, "trial": number})
    return {row.kind: EventRow(**row._mapping) for row in rows}


@cache
def _newest(kinds: tuple[str, ...], *, of_trial: bool) -> sa.Select[Any]:
    """Each is found by the index of kinds, however many events there are. Kept, since a report asks three times."""
    ids = []
    for kind in kinds:
        same = events.alias()
        statement = sa.select(same.c.id).where(same.c.study_id == sa.bindparam("study"), same.c.kind == kind)
        if of_trial:
            statement = statement.where(same.c.number == sa.bindparam("trial"))
        ids.append(statement.order_by(same.c.id.desc()).limit(1).scalar_subquery())
    return sa.select(events).where(events.c.id.in_(ids))


def of_kind(tx: Transaction, study_id: StudyId, kind: str, number: TrialNumber) -> list[EventRow]:
    """The events of a kind of one trial."""
    same = (events.c.study_id == study_id, events.c.kind == kind, events.c.number == number)
    return [EventRow(**row._mapping) for row in tx.execute(sa.select(events).where(*same).order_by(events.c.id))]


def at(tx: Transaction, study_id: StudyId, kind: str, at: int) -> list[EventRow]:
    """The events of a kind of one moment."""
    statement = sa.select(events).where(events.c.study_id == study_id, events.c.kind == kind, events.c.at == at)
    return [EventRow(**row._mapping) for row in tx.execute(statement.order_by(events.c.id))]
