"""SQL on the floors of fences and versions: numbers up to them may have been given, and are not given again.

A study that is deleted takes its trials and their numbers with it. The study that gets its name later begins above the
floors, so whatever still comes for the old one is refused.

A database that is restored from a backup has forgotten the fences that were given since. So the floor of fences is
raised at each start of a server to the number of seconds since the database was first used. No trial is dispatched
once a second for all that time, so the fences given from now on are above those that were forgotten.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import floors, studies, timeline, trials
from sturgeon.identifiers import StudyId

THE_ROW: Final = 1
SECOND_US: Final = 1_000_000


class Floors(NamedTuple):
    """The floors of fences, and of versions of desired states."""

    fence: int
    version: int


_READ: Final = sa.select(floors.c.fence, floors.c.version)


def read(tx: Transaction) -> Floors:
    """The present floors; 0 as long as nothing has raised them."""
    row = tx.execute(_READ).one_or_none()
    return Floors(0, 0) if row is None else Floors(row.fence, row.version)


def fence(tx: Transaction) -> int:
    """The floor of fences, as it was read with the study whose trial is given one."""
    return read(tx).fence if tx.fence_floor is None else tx.fence_floor


def fence_after(fence: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The fence of the next dispatch of a trial that has this one."""
    return _greater(fence, _or_zero(sa.select(floors.c.fence))) + 1


def raise_above_study(tx: Transaction, study_id: StudyId, now: int) -> None:
    """Raise the floors to the highest numbers that a study has given. It is about to be deleted, and is locked.

    A trial that nobody has steered has the floor as its version: the next study's is above it.
    """
    fence = sa.select(sa.func.max(trials.c.fence)).where(trials.c.study_id == study_id)
    version = sa.select(sa.func.max(timeline.c.version)).join(trials, trials.c.id == timeline.c.trial_id)
    unsteered = sa.select(studies.c.version_floor).where(studies.c.id == study_id).scalar_subquery()
    given = _greater(_or_zero(version.where(trials.c.study_id == study_id)), unsteered)
    _raise(tx, now, _or_zero(fence), given + 1)


def raise_at_start(tx: Transaction, now: int) -> None:
    """Raise the floor of fences by the time since the database was first used. A server starts."""
    _raise(tx, now, (now - floors.c.since) // SECOND_US, sa.literal(0))


def _raise(tx: Transaction, now: int, fence: sa.ColumnElement[int], version: sa.ColumnElement[int]) -> None:
    first_used = sa.func.coalesce(sa.select(sa.func.min(studies.c.created_at)).scalar_subquery(), now)
    tx.execute(tx.insert_new(floors, "id").values(id=THE_ROW, fence=0, version=0, since=first_used))
    raised = {"fence": _greater(floors.c.fence, fence), "version": _greater(floors.c.version, version)}
    tx.execute(floors.update().values(raised))
    tx.fence_floor = None


def _or_zero(number: sa.Select[Any]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(number.scalar_subquery(), 0)


def _greater(one: sa.ColumnElement[int], other: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.case((one > other, one), else_=other)
