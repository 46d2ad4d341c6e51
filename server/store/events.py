"""SQL on events: what happened to a study and its trials, by people and by the server."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from server.actors import SERVER
from server.request_context import is_work
from server.store import change_numbers, outbox
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import events
from sturgeon.identifiers import StudyId, TrialNumber

READ_AGAIN: Final = (
    "challenge",
    "challenge_decided",
    "challenge_skipped",
    "checkpoint_lost",
    "retest",
    "retest_decided",
    "retest_skipped",
)
"""Kinds whose events say what is going on: services read them again. They are few, and kept with their study."""

SAID_BY_RUNS: Final = frozenset(("portion_refused", "drift", "failed", "unable", "code_changed", "data_changed"))
"""Kinds that the holder of a lease tells of. All else that comes of a worker's request, the server decides."""


@dataclass(frozen=True)
class EventRow:
    """A row of `events`."""

    id: int
    study_id: StudyId
    number: TrialNumber | None
    kind: str
    detail: Json
    at: int
    actor: str | None
    actor_token: int | None
    changed: int


_INSERT: Final = events.insert()


def insert(
    tx: Transaction, study_id: StudyId, kind: str, now: int, number: TrialNumber | None = None, **detail: object
) -> None:
    """Write what happened, and put it into the outbox of the webhooks that want to be told of it."""
    actor = SERVER if is_work() and kind not in SAID_BY_RUNS else tx.actor
    who = {"actor": actor.name, "actor_token": actor.token_id}
    tx.execute(_INSERT, {"study_id": study_id, "number": number, "kind": kind, "detail": detail, "at": now, **who})
    outbox.tell(tx, study_id, kind, now, number, detail, actor.name)


def keep_newest(tx: Transaction, count: int) -> int:
    """Delete the oldest events of each study that has more than `count`, but for those of READ_AGAIN; how many."""
    of_many = sa.select(events.c.study_id).where(_may_go()).group_by(events.c.study_id)
    deleted = 0
    for study_id in tx.execute(of_many.having(sa.func.count() > count)).scalars().all():
        of_study = sa.and_(events.c.study_id == study_id, _may_go())
        too_old = sa.select(events.c.id).where(of_study).order_by(events.c.id.desc()).offset(count).limit(1)
        oldest_to_go = tx.execute(too_old).scalar_one()
        deleted += tx.execute(events.delete().where(of_study, events.c.id <= oldest_to_go)).rowcount
    return deleted


def _may_go() -> sa.ColumnElement[bool]:
    return events.c.kind.not_in(READ_AGAIN)


def count_all(tx: Transaction) -> int:
    """How many events all studies have."""
    return int(tx.execute(sa.select(sa.func.count()).select_from(events)).scalar_one())


def page(
    tx: Transaction,
    study_id: StudyId,
    after: int,
    size: int,
    number: TrialNumber | None = None,
    *,
    newest_first: bool = False,
) -> list[EventRow]:
    """Up to `size` events after one (-1: from the first); of one trial, if its number is given. With `newest_first`
    those before it, backwards (-1: from the last)."""
    statement = sa.select(events).where(events.c.study_id == study_id)
    if number is not None:
        statement = statement.where(events.c.number == number)
    if not newest_first:
        statement = statement.where(events.c.id > after).order_by(events.c.id)
    else:
        statement = (statement.where(events.c.id < after) if after >= 0 else statement).order_by(events.c.id.desc())
    return [EventRow(*row) for row in tx.execute(statement.limit(size))]


LOOKED_AT: Final = 100
"""So many of the newest events are looked at for those that are new, and more where all of them are."""


def since(tx: Transaction, study_id: StudyId, moment: str, most: int) -> list[EventRow]:
    """The events that were committed after a moment, by id; of very many the newest `most`. They need no index: ids are
    nearly in the order of the commits."""
    of_study = sa.select(events).where(events.c.study_id == study_id).order_by(events.c.id.desc())
    count = LOOKED_AT
    while True:
        rows = [EventRow(*row) for row in tx.execute(of_study.limit(count))]
        new = [row for row in rows if change_numbers.is_since(row.changed, moment)]
        if len(new) < count or count >= most:
            return new[most - 1 :: -1] if len(new) >= most else new[::-1]
        count = min(4 * count, most)


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
    return {row.kind: EventRow(*row) for row in rows}


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


def of_kind(tx: Transaction, study_id: StudyId, kind: str, number: TrialNumber | None = None) -> list[EventRow]:
    """The events of a kind; of one trial, if its number is given."""
    statement = sa.select(events).where(events.c.study_id == study_id, events.c.kind == kind)
    if number is not None:
        statement = statement.where(events.c.number == number)
    return [EventRow(*row) for row in tx.execute(statement.order_by(events.c.id))]


def at(tx: Transaction, study_id: StudyId, kind: str, at: int) -> list[EventRow]:
    """The events of a kind of one moment."""
    statement = sa.select(events).where(events.c.study_id == study_id, events.c.kind == kind, events.c.at == at)
    return [EventRow(*row) for row in tx.execute(statement.order_by(events.c.id))]
