"""SQL on lists of trials: which a list shows, in which order, and where its pages begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import has_tag
from server.store.tables import trials
from server.store.trials import TrialRow
from sturgeon.identifiers import StudyId, TrialNumber

SORTS: Final = {"number": trials.c.number, "value": trials.c.value, "finished_at": trials.c.finished_at}


@dataclass(frozen=True)
class Listing:
    """Which trials a list shows, and in which order."""

    state: str | None = None
    invalid: bool | None = None
    sort: str = "number"
    descending: bool = False
    tag: str | None = None


@dataclass(frozen=True)
class After:
    """Where a page of a list begins: after the trial of this number, which has `key` in the column of the order."""

    number: TrialNumber
    key: float | None = None


def place_of(row: TrialRow, listing: Listing) -> After:
    """Where the page after this trial begins."""
    return After(row.number, None if listing.sort == "number" else getattr(row, listing.sort))


def page(tx: Transaction, study_id: StudyId, listing: Listing, after: After | None, size: int) -> list[TrialRow]:
    """Up to `size` trials of a list, from its start or after a place. Trials that enter or leave the list before that
    place do not shift the page."""
    statement = _listed(study_id, listing)
    if after is not None:
        statement = statement.where(_is_after(listing, after))
    return [TrialRow(*row) for row in tx.execute(statement.limit(size))]


def _listed(study_id: StudyId, listing: Listing) -> sa.Select[Any]:
    statement = sa.select(trials).where(trials.c.study_id == study_id)
    if listing.state is not None:
        statement = statement.where(trials.c.state == listing.state)
    if listing.invalid is not None:
        statement = statement.where(trials.c.invalid_reason.is_not(None) == listing.invalid)
    if listing.tag is not None:
        statement = statement.where(has_tag(trials.c.tags, listing.tag))
    column = SORTS[listing.sort]
    order = column.desc() if listing.descending else column.asc()
    return statement.order_by(order.nulls_last(), trials.c.number)


def _is_after(listing: Listing, after: After) -> sa.ColumnElement[bool]:
    """In the order of `_listed`: equals by number, those without a key last."""
    column, later = SORTS[listing.sort], trials.c.number > after.number
    if listing.sort == "number":
        return column < after.number if listing.descending else later
    if after.key is None:
        return sa.and_(column.is_(None), later)
    further = column < after.key if listing.descending else column > after.key
    return sa.or_(further, sa.and_(column == after.key, later), column.is_(None))
