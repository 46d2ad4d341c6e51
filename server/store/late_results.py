"""SQL on late results: what came under a lease that was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import late_results
from sturgeon.identifiers import Fence, StudyId, TrialNumber

Kind = Literal["report", "tell"]


@dataclass(frozen=True)
class LateRow:
    """A row of `late_results`."""

    id: int
    study_id: StudyId
    number: TrialNumber
    fence: Fence
    kind: Kind
    body: Json
    size: int
    at: int
    actor: str | None
    actor_token: int | None


def insert(tx: Transaction, values: Json) -> None:
    """Store a late result, unless the same is stored already: whoever is refused may send it again and again."""
    same = (late_results.c[name] == values[name] for name in ("study_id", "number", "fence", "kind", "size"))
    if values["body"] not in tx.execute(sa.select(late_results.c.body).where(*same)).scalars().all():
        tx.execute(late_results.insert().values(**values, actor=tx.actor.name, actor_token=tx.actor.token_id))


def page(tx: Transaction, study_id: StudyId, after: int, size: int) -> list[LateRow]:
    """Up to `size` late results of a study with ids above `after`, by id."""
    statement = sa.select(late_results).where(late_results.c.study_id == study_id, late_results.c.id > after)
    return [LateRow(**row._mapping) for row in tx.execute(statement.order_by(late_results.c.id).limit(size))]


def keep_newest(tx: Transaction, study_id: StudyId, count: int, size: int) -> None:
    """Delete the oldest late results of a study, so that at most `count` with at most `size` bytes are left."""
    newest_first = sa.select(late_results.c.id, late_results.c.size).where(late_results.c.study_id == study_id)
    total = 0
    for place, row in enumerate(tx.execute(newest_first.order_by(late_results.c.id.desc()).limit(count + 1))):
        total += row.size
        if place == count or total > size:
            too_old = sa.and_(late_results.c.study_id == study_id, late_results.c.id <= row.id)
            tx.execute(late_results.delete().where(too_old))
            return


def count_all(tx: Transaction) -> int:
    """How many late results all studies have."""
    return int(tx.execute(sa.select(sa.func.count()).select_from(late_results)).scalar_one())


def total_size(tx: Transaction) -> int:
    """The bytes of all late results of all studies."""
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.sum(late_results.c.size), 0))).scalar_one())
