"""SQL on the workers that gave a trial of a study back, since they cannot run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.reach import EVERY_STUDY, Reach
from server.store.tables import studies, trials, unable, workers
from server.store.workers import GONE_US
from sturgeon.identifiers import StudyId


@dataclass(frozen=True)
class UnableRow:
    """A row of `unable`, with the study's name."""

    study_id: StudyId
    study: str
    worker: str
    reason: str
    count: int
    at: int


def note(tx: Transaction, study_id: StudyId, worker: str, reason: str) -> UnableRow:
    """Store that the worker cannot run the study; counted on from the last time, unless it ran a trial of it since."""
    here = sa.and_(unable.c.study_id == study_id, unable.c.worker == worker)
    tx.execute(unable.delete().where(here, _has_run_since()))
    first = {"study_id": study_id, "worker": worker, "reason": reason, "count": 0, "at": tx.now()}
    tx.execute(tx.insert_new(unable, "study_id", "worker").values(first))
    tx.execute(unable.update().where(here).values(reason=reason, count=unable.c.count + 1, at=tx.now()))
    return UnableRow(**tx.execute(_named().where(here)).one()._mapping)


def of_studies(tx: Transaction, ids: Iterable[StudyId]) -> list[UnableRow]:
    """The workers that call, and cannot run these studies; by study and worker."""
    return _present(tx, unable.c.study_id.in_(sorted(ids)))


def of_workers(tx: Transaction, names: Iterable[str], reach: Reach = EVERY_STUDY) -> list[UnableRow]:
    """What these workers, as far as they call, cannot run of the studies within reach; by study and worker."""
    return _present(tx, sa.and_(unable.c.worker.in_(sorted(names)), reach.where()))


def forget(tx: Transaction) -> None:
    """Delete what workers that were forgotten could not run."""
    tx.execute(unable.delete().where(~sa.exists().where(workers.c.name == unable.c.worker)))


def _present(tx: Transaction, which: sa.ColumnElement[bool]) -> list[UnableRow]:
    calls = sa.exists().where(workers.c.name == unable.c.worker, workers.c.last_seen_at >= tx.steady_now() - GONE_US)
    statement = _named().where(which, calls, sa.not_(_has_run_since())).order_by(unable.c.study_id, unable.c.worker)
    return [UnableRow(**row._mapping) for row in tx.execute(statement)]


def _named() -> sa.Select[Any]:
    return sa.select(unable, studies.c.name.label("study")).join(studies, studies.c.id == unable.c.study_id)


def _has_run_since() -> sa.ColumnElement[bool]:
    """Whether the worker runs, or has run, a trial of the study since it could not."""
    runs = sa.and_(trials.c.state == "running", trials.c.reported)
    return (
        sa.exists()
        .where(
            trials.c.study_id == unable.c.study_id,
            trials.c.worker == unable.c.worker,
            sa.or_(runs, trials.c.finished_at > unable.c.at),
        )
        .correlate(unable)
    )
