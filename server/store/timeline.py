"""SQL on the timeline of a trial: one row a version of its desired state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import timeline
from sturgeon.identifiers import NO_VERSION, Step, TrialId, Version
from sturgeon.messages.steering import EntryState, Verb


@dataclass(frozen=True)
class EntryRow:
    """A row of `timeline`."""

    trial_id: TrialId
    version: Version
    verb: Verb
    params: Json
    restore: Step | None
    base: int | None
    checkpoint: Step | None
    actor: str
    actor_token: int | None
    reason: str
    guard: Json | None
    watching: bool
    state: EntryState
    from_step: Step | None
    at: int
    applied_at: int | None


def insert(tx: Transaction, values: Json) -> None:
    tx.execute(timeline.insert().values(values))


def of_trial(tx: Transaction, trial_id: TrialId) -> list[EntryRow]:
    """All entries, by version."""
    statement = sa.select(timeline).where(timeline.c.trial_id == trial_id).order_by(timeline.c.version)
    return [EntryRow(**row._mapping) for row in tx.execute(statement)]


def settle(tx: Transaction, trial_id: TrialId, versions: Iterable[int], state: str, **values: object) -> None:
    """What became of these versions."""
    which = sa.and_(timeline.c.trial_id == trial_id, timeline.c.version.in_(list(versions)))
    tx.execute(timeline.update().where(which).values(state=state, **values))


def note(tx: Transaction, trial_id: TrialId, version: Version, **values: object) -> None:
    """The checkpoint of an entry, or that its guard watches no more."""
    which = sa.and_(timeline.c.trial_id == trial_id, timeline.c.version == version)
    tx.execute(timeline.update().where(which).values(**values))


def watched(tx: Transaction, trial_id: TrialId) -> list[EntryRow]:
    """Entries in force whose guard has not decided yet, by version."""
    statement = sa.select(timeline).where(
        timeline.c.trial_id == trial_id, timeline.c.watching, timeline.c.state == "applied"
    )
    return [EntryRow(**row._mapping) for row in tx.execute(statement.order_by(timeline.c.version))]


_CHANGES: Final = sa.and_(timeline.c.state == "applied", sa.cast(timeline.c.params, sa.Text) != "{}")
"""Applied entries that change parameters."""


def newest_changes(tx: Transaction, trial_id: TrialId) -> tuple[list[EntryRow], bool]:
    """Of the changes of parameters in force, by version: the one of the greatest step, and the newest one that has no
    guard of its own. And whether any entry is pending."""
    own = sa.select(timeline).where(timeline.c.trial_id == trial_id)
    changes = own.where(_CHANGES)
    latest = changes.order_by(sa.func.coalesce(timeline.c.from_step, 0).desc(), timeline.c.version.desc()).limit(1)
    unguarded = changes.where(timeline.c.guard.is_(sa.null())).order_by(timeline.c.version.desc()).limit(1)
    pending = own.where(timeline.c.state == "pending").limit(1)
    rows = [EntryRow(**row._mapping) for part in (latest, unguarded) for row in tx.execute(part)]
    by_version = {row.version: row for row in rows}
    return [by_version[version] for version in sorted(by_version)], tx.execute(pending).first() is not None


def in_force_but_of(tx: Transaction, trial_id: TrialId, actor: str) -> list[EntryRow]:
    """The changes in force, by version, but those whose actor begins so."""
    others = sa.not_(timeline.c.actor.startswith(actor, autoescape=True))
    statement = sa.select(timeline).where(timeline.c.trial_id == trial_id, _CHANGES, others)
    return [EntryRow(**row._mapping) for row in tx.execute(statement.order_by(timeline.c.version))]


_APPLIED_ROLLBACK: Final = sa.and_(
    timeline.c.verb == "rollback",
    timeline.c.from_step.is_not(None),
    timeline.c.state.in_(("applied", "reverted")),
)


def newest_rollback(tx: Transaction, trial_id: TrialId) -> Version:
    """The version of the newest rollback that was applied; 0 without one."""
    statement = sa.select(timeline.c.version).where(timeline.c.trial_id == trial_id, _APPLIED_ROLLBACK)
    return tx.execute(statement.order_by(timeline.c.version.desc()).limit(1)).scalar_one_or_none() or NO_VERSION


def least_restore_after(tx: Transaction, trial_id: TrialId, version: Version) -> int | None:
    """The least step that an applied rollback of a later version went back to; None without one."""
    least = sa.select(sa.func.min(timeline.c.restore)).where(
        timeline.c.trial_id == trial_id, timeline.c.version > version, _APPLIED_ROLLBACK
    )
    found: int | None = tx.execute(least).scalar_one()
    return found


def least_restore_since(tx: Transaction, trial_id: TrialId, at: int) -> int | None:
    """The least step that a rollback went back to which was applied at this moment or later; None without one."""
    least = sa.select(sa.func.min(timeline.c.restore)).where(
        timeline.c.trial_id == trial_id, timeline.c.applied_at >= at, _APPLIED_ROLLBACK
    )
    found: int | None = tx.execute(least).scalar_one()
    return found


def rollbacks(tx: Transaction, trial_id: TrialId) -> list[tuple[int, int]]:
    """(version, step gone back to) of the rollbacks that were applied, by version."""
    statement = (
        sa.select(timeline.c.version, timeline.c.restore)
        .where(timeline.c.trial_id == trial_id, _APPLIED_ROLLBACK)
        .order_by(timeline.c.version)
    )
    return [(row.version, row.restore) for row in tx.execute(statement)]


def rollbacks_of(tx: Transaction, ids: Collection[TrialId]) -> dict[TrialId, list[tuple[int, int]]]:
    """As `rollbacks`, of each of these trials that has any."""
    among = timeline.c.trial_id.in_(sa.bindparam("ids", expanding=True))
    statement = sa.select(timeline.c.trial_id, timeline.c.version, timeline.c.restore).where(among, _APPLIED_ROLLBACK)
    found: dict[TrialId, list[tuple[int, int]]] = defaultdict(list)
    for trial_id, version, step in tx.execute(statement.order_by(timeline.c.version), {"ids": list(ids)}):
        found[trial_id].append((version, step))
    return found
