"""SQL on the timeline of a trial: one row a version of its desired state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import timeline


@dataclass(frozen=True)
class EntryRow:
    """A row of `timeline`."""

    trial_id: int
    version: int
    verb: Any
    params: dict[str, Any]
    restore: int | None
    base: int | None
    checkpoint: int | None
    actor: str
    reason: str
    guard: dict[str, Any] | None
    watching: bool
    state: Any
    from_step: int | None
    at: int
    applied_at: int | None


def insert(tx: Transaction, values: dict[str, Any]) -> None:
    tx.execute(timeline.insert().values(values))


def of_trial(tx: Transaction, trial_id: int) -> list[EntryRow]:
    """All entries, by version."""
    statement = sa.select(timeline).where(timeline.c.trial_id == trial_id).order_by(timeline.c.version)
    return [EntryRow(**row._mapping) for row in tx.execute(statement)]


def settle(tx: Transaction, trial_id: int, versions: Iterable[int], state: str, **values: Any) -> None:
    """What became of these versions."""
    which = sa.and_(timeline.c.trial_id == trial_id, timeline.c.version.in_(list(versions)))
    tx.execute(timeline.update().where(which).values(state=state, **values))


def note(tx: Transaction, trial_id: int, version: int, **values: Any) -> None:
    """The checkpoint of an entry, or that its guard watches no more."""
    which = sa.and_(timeline.c.trial_id == trial_id, timeline.c.version == version)
    tx.execute(timeline.update().where(which).values(**values))


def watched(tx: Transaction, trial_id: int) -> list[EntryRow]:
    """Entries in force whose guard has not decided yet, by version."""
    statement = sa.select(timeline).where(
        timeline.c.trial_id == trial_id, timeline.c.watching, timeline.c.state == "applied"
    )
    return [EntryRow(**row._mapping) for row in tx.execute(statement.order_by(timeline.c.version))]


def rollbacks(tx: Transaction, trial_id: int) -> list[tuple[int, int]]:
    """(version, step gone back to) of the rollbacks that were applied, by version."""
    statement = (
        sa.select(timeline.c.version, timeline.c.restore)
        .where(
            timeline.c.trial_id == trial_id,
            timeline.c.verb == "rollback",
            timeline.c.from_step.is_not(None),
            timeline.c.state.in_(("applied", "reverted")),
        )
        .order_by(timeline.c.version)
    )
    return [(row.version, row.restore) for row in tx.execute(statement)]
