"""SQL on the revisions of studies' spaces."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import space_revisions
from sturgeon.identifiers import StudyId


@dataclass(frozen=True)
class RevisionRow:
    """A row of `space_revisions`. `space` is in force from the study's sequence number `seq` on."""

    study_id: StudyId
    revision: int
    space: Json
    constraints: list[str]
    added: Json
    seq: int
    created_at: int


def insert(tx: Transaction, row: RevisionRow) -> None:
    tx.execute(space_revisions.insert().values(**row.__dict__))


def until(tx: Transaction, study_id: StudyId, basis: int) -> list[RevisionRow]:
    """The revisions up to the sequence number `basis`, in their order; the last one was in force then."""
    statement = sa.select(space_revisions).where(space_revisions.c.study_id == study_id, space_revisions.c.seq <= basis)
    return [RevisionRow(**row._mapping) for row in tx.execute(statement.order_by(space_revisions.c.revision))]


def page(tx: Transaction, study_id: StudyId, after: int, size: int) -> list[RevisionRow]:
    """Up to `size` revisions after this one."""
    statement = sa.select(space_revisions).where(
        space_revisions.c.study_id == study_id, space_revisions.c.revision > after
    )
    rows = tx.execute(statement.order_by(space_revisions.c.revision).limit(size))
    return [RevisionRow(**row._mapping) for row in rows]
