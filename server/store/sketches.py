"""SQL on what the list of all studies shows of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from server.store.best_trials import Improvement, improvements
from server.store.engine import Transaction
from server.store.tables import studies, trials
from sturgeon.direction import Direction
from sturgeon.identifiers import StudyId
from sturgeon.states import Mode, StudyState, TrialState


@dataclass(frozen=True)
class SketchRow:
    """A study, with what its trials have come to. `counts`: by state. `workers`: how many hold a trial of it.
    `changed_at`: when a trial of it last began or ended."""

    id: StudyId
    name: str
    title: str
    state: StudyState
    mode: Mode
    metric: str
    direction: Direction
    max_trials: int
    replicates: int
    spent: str | None
    tags: list[str]
    created_at: int
    changed_at: int = 0
    workers: int = 0
    counts: dict[TrialState, int] = field(default_factory=dict)
    improvements: list[Improvement] = field(default_factory=list)


_COLUMNS: Final = (
    "id", "name", "title", "state", "mode", "metric", "direction", "max_trials", "replicates",
    "spent", "tags", "created_at"
)  # fmt: skip
_STUDIES: Final = sa.select(*(studies.c[name] for name in _COLUMNS)).where(
    studies.c.id.in_(sa.bindparam("ids", expanding=True))
)


def ids(tx: Transaction) -> set[StudyId]:
    """The ids of all studies."""
    return set(tx.execute(sa.select(studies.c.id)).scalars())


def sketches(tx: Transaction, ids: Collection[StudyId]) -> list[SketchRow]:
    """Those of these studies that exist. In a few statements, however many there are."""
    found = {row.id: SketchRow(*row) for row in tx.execute(_STUDIES, {"ids": list(ids)})}
    changed_at = {study_id: row.created_at for study_id, row in found.items()}
    for study_id, state, count, at in tx.execute(_by_state(), {"ids": list(found)}):
        found[study_id].counts[state] = count
        changed_at[study_id] = max(changed_at[study_id], at)
    for one in improvements(tx, {study_id: row.replicates for study_id, row in found.items()}):
        found[one.study_id].improvements.append(one)
    workers = dict(tx.execute(_WORKERS, {"ids": list(found)}).all())
    return [
        SketchRow(**row.__dict__ | {"changed_at": changed_at[row.id], "workers": workers.get(row.id, 0)})
        for row in found.values()
    ]


def _by_state() -> sa.Select[Any]:
    at = sa.func.max(sa.func.coalesce(trials.c.finished_at, trials.c.started_at, trials.c.created_at))
    statement = sa.select(trials.c.study_id, trials.c.state, sa.func.count(), at)
    return statement.where(_AMONG).group_by(trials.c.study_id, trials.c.state)


_AMONG: Final = trials.c.study_id.in_(sa.bindparam("ids", expanding=True))
_WORKERS: Final = (
    sa.select(trials.c.study_id, sa.func.count(trials.c.worker.distinct()))
    .where(_AMONG, trials.c.state == "running")
    .group_by(trials.c.study_id)
)
