"""SQL on workers: who asked for work, when last, and who shall drain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import workers

FORGOTTEN_US: Final = 60_000_000
"""A worker that was not seen for a minute and comes back is a new one: it is not told to drain again."""


@dataclass(frozen=True)
class WorkerRow:
    """A row of `workers`."""

    name: str
    slots: int
    drain: bool
    first_seen_at: int
    last_seen_at: int


def seen(tx: Transaction, name: str, now: int, slots: int | None = None) -> WorkerRow:
    """Note that the worker called; `slots` where it said how many it has free."""
    tx.execute(
        tx.insert_new(workers, "name").values(
            name=name, slots=slots or 0, drain=False, first_seen_at=now, last_seen_at=now
        )
    )
    back = workers.c.last_seen_at < now - FORGOTTEN_US
    statement = (
        workers.update()
        .where(workers.c.name == name)
        .values(
            slots=sa.func.coalesce(slots, workers.c.slots),
            drain=sa.case((back, sa.false()), else_=workers.c.drain),
            last_seen_at=now,
        )
        .returning(workers)
    )
    return WorkerRow(**tx.execute(statement).one()._mapping)


def drain(tx: Transaction, name: str) -> WorkerRow | None:
    statement = workers.update().where(workers.c.name == name).values(drain=True).returning(workers)
    row = tx.execute(statement).one_or_none()
    return None if row is None else WorkerRow(**row._mapping)


def page(tx: Transaction, after: str, size: int) -> list[WorkerRow]:
    statement = sa.select(workers).where(workers.c.name > after).order_by(workers.c.name).limit(size)
    return [WorkerRow(**row._mapping) for row in tx.execute(statement)]


def forget(tx: Transaction, before: int) -> int:
    """Forget workers that were not seen since `before`; how many."""
    return tx.execute(workers.delete().where(workers.c.last_seen_at < before)).rowcount
