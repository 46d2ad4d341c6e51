"""SQL on studies. A study's row lock is what orders everything that its sampler may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import studies, trials


@dataclass(frozen=True)
class StudyRow:
    """A row of `studies`."""

    id: int
    name: str
    title: str
    state: Any
    mode: Any
    metric: str
    direction: Any
    reduce: Any
    space: dict[str, Any]
    revision: int
    sampler: Any
    sampler_options: dict[str, Any]
    seed: int
    pruning: dict[str, Any]
    max_trials: int
    replicates: int
    limits: dict[str, Any] | None
    spent: Any
    task: dict[str, Any] | None
    policies: list[dict[str, Any]]
    seq: int
    next_number: int
    created_at: int


def _row(found: sa.Row[Any] | None) -> StudyRow | None:
    return None if found is None else StudyRow(**found._mapping)


def insert(tx: Transaction, values: dict[str, Any]) -> StudyRow | None:
    """The new study; None where the name exists."""
    statement = tx.insert_new(studies, "name").values(values).returning(studies)
    return _row(tx.execute(statement).one_or_none())


def find(tx: Transaction, name: str) -> StudyRow | None:
    return _row(tx.execute(sa.select(studies).where(studies.c.name == name)).one_or_none())


def by_id(tx: Transaction, ids: Iterable[int]) -> dict[int, StudyRow]:
    found = tx.execute(sa.select(studies).where(studies.c.id.in_(list(ids))))
    return {row.id: StudyRow(**row._mapping) for row in found}


def page(tx: Transaction, after: int, size: int) -> list[StudyRow]:
    statement = sa.select(studies).where(studies.c.id > after).order_by(studies.c.id).limit(size)
    return [StudyRow(**row._mapping) for row in tx.execute(statement)]


def update(tx: Transaction, study_id: int, **values: Any) -> StudyRow:
    statement = studies.update().where(studies.c.id == study_id).values(**values).returning(studies)
    return StudyRow(**tx.execute(statement).one()._mapping)


def delete(tx: Transaction, study_id: int) -> None:
    """The study and all that refers to it. Its trials are locked first: who holds one may want the study's key."""
    tx.changed_studies.add(study_id)
    own = sa.select(trials.c.id).where(trials.c.study_id == study_id).order_by(trials.c.id)
    tx.lock_order.trials(tx.execute(own.with_for_update()).scalars())
    tx.execute(studies.delete().where(studies.c.id == study_id))


def next_seq(tx: Transaction, study_id: int) -> int:
    """The next of the study's sequence: gapless and in commit order, since its row stays locked to the commit."""
    tx.changed_studies.add(study_id)
    statement = studies.update().where(studies.c.id == study_id).values(seq=studies.c.seq + 1)
    return int(tx.execute(statement.returning(studies.c.seq)).scalar_one())


def take_numbers(tx: Transaction, study: StudyRow, count: int) -> bool:
    """Take the trial numbers `next_number` .. + count; False when another transaction was faster, the space or the
    state changed, or the budget is spent."""
    statement = (
        studies.update()
        .where(
            studies.c.id == study.id,
            studies.c.next_number == study.next_number,
            studies.c.revision == study.revision,
            studies.c.state == "active",
            studies.c.spent.is_(None),
            study.next_number + count <= studies.c.max_trials,
        )
        .values(next_number=study.next_number + count)
    )
    return tx.execute(statement).rowcount == 1


@dataclass
class Amounts:
    """How many trials a study has by state, and what all of them have used."""

    counts: dict[str, int] = field(default_factory=dict)
    epochs: float = 0.0
    seconds: float = 0.0


def amounts(tx: Transaction, study_ids: Sequence[int]) -> dict[int, Amounts]:
    """By study id."""
    statement = (
        sa.select(
            trials.c.study_id,
            trials.c.state,
            sa.func.count(),
            sa.func.sum(trials.c.spent_epochs),
            sa.func.sum(trials.c.spent_us),
        )
        .where(trials.c.study_id.in_(study_ids))
        .group_by(trials.c.study_id, trials.c.state)
    )
    found = {study_id: Amounts() for study_id in study_ids}
    for study_id, state, count, epochs, microseconds in tx.execute(statement):
        found[study_id].counts[state] = count
        found[study_id].epochs += epochs
        found[study_id].seconds += int(microseconds) / 1e6
    return found


def limited(tx: Transaction) -> list[StudyRow]:
    """The active studies whose budget has limits beside the number of trials, none of them reached."""
    statement = sa.select(studies).where(
        studies.c.state == "active", studies.c.limits.is_not(sa.null()), studies.c.spent.is_(None)
    )
    return [StudyRow(**row._mapping) for row in tx.execute(statement)]


def _open_to_workers() -> tuple[sa.ColumnElement[bool], ...]:
    """Active, with a task that a worker can run, and with numbers left in the budget that are drawn."""
    return (
        studies.c.state == "active",
        studies.c.mode == "caviar",
        studies.c.task.is_not(sa.null()),
        studies.c.spent.is_(None),
        studies.c.next_number + studies.c.replicates <= studies.c.max_trials,
    )


def with_new_trials_for_workers(tx: Transaction) -> list[str]:
    """Names of the studies that workers can get new trials of; the one with the fewest running trials first, so that
    studies share the workers evenly."""
    running = (
        sa.select(sa.func.count())
        .where(trials.c.study_id == studies.c.id, trials.c.state == "running")
        .correlate(studies)
        .scalar_subquery()
    )
    statement = sa.select(studies.c.name).where(*_open_to_workers()).order_by(running, studies.c.id)
    return list(tx.execute(statement).scalars())


def new_trials_for_workers(tx: Transaction) -> int:
    """How many new trials workers can get, over all studies."""
    left = sa.func.coalesce(sa.func.sum(studies.c.max_trials - studies.c.next_number), 0)
    return int(tx.execute(sa.select(left).where(*_open_to_workers())).scalar_one())


def count_by_state(tx: Transaction) -> dict[str, int]:
    statement = sa.select(studies.c.state, sa.func.count()).group_by(studies.c.state)
    return dict(tx.execute(statement).all())
