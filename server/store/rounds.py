"""SQL on the rounds of coarse to fine: what the search derived from the results when each round began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import rounds
from sturgeon.identifiers import StudyId


@dataclass(frozen=True)
class RoundRow:
    """A row of `rounds`.

    learnt_from: the hash of the results that the round began with. seq: the study's sequence number when the round
    first drew, or was first seen.
    """

    study_id: StudyId
    revision: int
    number: int
    learnt_from: str
    seq: int
    body: Json
    numerics: str
    at: int


def insert(tx: Transaction, row: RoundRow) -> None:
    """Store the round; no effect where one that began with the same results is stored."""
    tx.execute(tx.insert_new(rounds, "study_id", "revision", "number", "learnt_from"), {**row.__dict__})


def of_study(tx: Transaction, study_id: StudyId) -> Sequence[RoundRow]:
    """The study's rounds in all revisions, in the order in which they began."""
    columns = [column for column in rounds.c if column.name != "id"]
    statement = sa.select(*columns).where(rounds.c.study_id == study_id)
    rows = tx.execute(statement.order_by(rounds.c.seq, rounds.c.number, rounds.c.id))
    return [RoundRow(**row._mapping) for row in rows]


def known(tx: Transaction, study_id: StudyId, revision: int) -> set[tuple[int, str]]:
    """(number, learnt_from) of the stored rounds of this revision."""
    statement = sa.select(rounds.c.number, rounds.c.learnt_from)
    rows = tx.execute(statement.where(rounds.c.study_id == study_id, rounds.c.revision == revision))
    return {(row.number, row.learnt_from) for row in rows}
