"""SQL on the rounds of coarse to fine: what was believed when each began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import rounds
from sturgeon.identifiers import StudyId


@dataclass(frozen=True)
class RoundRow:
    """A row of `rounds`. `learnt_from` is the hash of the results that the round began with, `seq` the study's sequence
    number when it drew first or was seen first."""

    study_id: StudyId
    revision: int
    number: int
    learnt_from: str
    seq: int
    body: dict[str, Any]
    numerics: str
    at: int


def keep(tx: Transaction, row: RoundRow) -> None:
    """Keep it as it was first seen: no effect where a round of the same beginning is known."""
    values = {**row.__dict__}
    tx.execute(tx.insert_new(rounds, "study_id", "revision", "number", "learnt_from").values(values))


def of_study(tx: Transaction, study_id: StudyId) -> Sequence[RoundRow]:
    """Those of all revisions, in the order in which they began."""
    columns = [column for column in rounds.c if column.name != "id"]
    statement = sa.select(*columns).where(rounds.c.study_id == study_id)
    found = tx.execute(statement.order_by(rounds.c.seq, rounds.c.number, rounds.c.id))
    return [RoundRow(**row._mapping) for row in found]


def known(tx: Transaction, study_id: StudyId, revision: int) -> set[tuple[int, str]]:
    """(number, learnt_from) of the rounds that are kept of this revision."""
    statement = sa.select(rounds.c.number, rounds.c.learnt_from)
    found = tx.execute(statement.where(rounds.c.study_id == study_id, rounds.c.revision == revision))
    return {(row.number, row.learnt_from) for row in found}
