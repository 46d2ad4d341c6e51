"""SQL on workers: their slots, when they last called, and which ones are to drain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import workers

GONE_US: Final = 60_000_000
"""A worker calls far more often than once a minute. One that has not is gone; if it comes back, it counts as a new one
and is not told to drain again."""


@dataclass(frozen=True)
class WorkerRow:
    """A row of `workers`."""

    name: str
    slots: int
    drain: bool
    offer: Json | None
    first_seen_at: int
    last_seen_at: int


_COMES_BACK: Final = workers.c.last_seen_at < sa.bindparam("gone_at")
_SEEN: Final = (
    workers.update()
    .where(workers.c.name == sa.bindparam("worker"))
    .values(
        slots=sa.func.coalesce(sa.bindparam("said", type_=sa.Integer), workers.c.slots),
        drain=sa.case((_COMES_BACK, sa.false()), else_=workers.c.drain),
    )
    .returning(workers)
)


def seen(tx: Transaction, name: str, slots: int | None = None, offer: Json | None = None) -> WorkerRow:
    """Note that the worker has called. slots, offer: how many it has, and what else, where it says so.

    What is stored is steady time, so that a clock that is put forward makes no worker one that comes back.
    """
    now = tx.steady_now()
    said: Json = {} if offer is None else {"offer": offer}
    seen: Json = {"worker": name, "said": slots, "gone_at": now - GONE_US, "last_seen_at": now}
    row = tx.execute(_SEEN, seen | said).one_or_none()
    if row is None:
        new: Json = {"name": name, "slots": slots or 0, "drain": False, "first_seen_at": now, "last_seen_at": now}
        tx.execute(tx.insert_new(workers, "name"), new | said)
        row = tx.execute(_SEEN, seen | said).one()  # the first call may have come twice
    return _as_told(row, _behind(tx))


def offers(tx: Transaction) -> dict[str, Json | None]:
    """Worker -> what it has in all, of those that call and do not drain."""
    statement = sa.select(workers.c.name, workers.c.offer).where(
        workers.c.last_seen_at >= tx.steady_now() - GONE_US, workers.c.drain.is_(False)
    )
    return dict(tx.execute(statement.order_by(workers.c.name)).all())


def count_by_state(tx: Transaction) -> tuple[dict[str, int], int]:
    """How many workers are active, drain, and are gone; and the slots of those that are active."""
    is_gone = workers.c.last_seen_at < tx.steady_now() - GONE_US
    state = sa.case((is_gone, "gone"), (workers.c.drain, "draining"), else_="active").label("state")
    counted = sa.select(state, sa.func.count(), sa.func.coalesce(sa.func.sum(workers.c.slots), 0)).group_by(state)
    rows = tx.execute(counted).all()
    return {name: count for name, count, _ in rows}, sum(int(slots) for name, _, slots in rows if name == "active")


def is_gone(tx: Transaction, row: WorkerRow) -> bool:
    """Whether the worker has not called for so long that it counts as gone."""
    return row.last_seen_at < tx.now() - GONE_US


def _as_told(row: sa.Row[Any], behind: int) -> WorkerRow:
    """The row with its times as people read them."""
    fields = dict(row._mapping)
    return WorkerRow(**fields | {name: fields[name] + behind for name in ("first_seen_at", "last_seen_at")})


def _behind(tx: Transaction) -> int:
    """By how much steady time is behind the clock."""
    return tx.now() - tx.steady_now()


def drain(tx: Transaction, name: str) -> WorkerRow | None:
    """Mark the worker: it is to finish its trials and stop."""
    statement = workers.update().where(workers.c.name == name).values(drain=True).returning(workers)
    row = tx.execute(statement).one_or_none()
    return None if row is None else _as_told(row, _behind(tx))


def page(tx: Transaction, after: str, size: int) -> list[WorkerRow]:
    """Up to `size` workers by name, after this name."""
    statement = sa.select(workers).where(workers.c.name > after).order_by(workers.c.name).limit(size)
    behind = _behind(tx)
    return [_as_told(row, behind) for row in tx.execute(statement)]


def forget(tx: Transaction, before: int) -> int:
    """Delete the workers that have not called since `before`, in steady time; return how many."""
    return tx.execute(workers.delete().where(workers.c.last_seen_at < before)).rowcount
