"""SQL on events: what people and the reaper did to a study and its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import events


@dataclass(frozen=True)
class EventRow:
    """A row of `events`."""

    id: int
    study_id: int
    number: int | None
    kind: str
    detail: dict[str, Any]
    at: int


def insert(tx: Transaction, study_id: int, kind: str, now: int, number: int | None = None, **detail: Any) -> None:
    tx.execute(events.insert().values(study_id=study_id, number=number, kind=kind, detail=detail, at=now))


def page(tx: Transaction, study_id: int, after: int, size: int) -> list[EventRow]:
    statement = sa.select(events).where(events.c.study_id == study_id, events.c.id > after)
    return [EventRow(**row._mapping) for row in tx.execute(statement.order_by(events.c.id).limit(size))]
