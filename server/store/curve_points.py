"""SQL on the points of many curves at once: one metric of all reports of some trials."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store.changes import trials_since
from server.store.engine import Transaction
from server.store.tables import reports, trials
from sturgeon.identifiers import Fence, StudyId, TrialId, TrialNumber
from sturgeon.states import TrialState

AT_ONCE: Final = 100
"""So many trials a query: their points are in memory at once."""


FEW: Final = 1_000


class CurveOf(NamedTuple):
    """What tells which reports of a trial count. `steered`: it has a desired state."""

    id: TrialId
    number: TrialNumber
    state: TrialState
    begun_fence: Fence | None
    steered: bool
    changed: int


Point = tuple[TrialId, Fence, int, int, float | None, float | None]
"""A metric in a report: (trial, fence, rollback generation, step, epoch, value). No class, as there may be 200,000."""


_TRIALS: Final = sa.select(
    trials.c.id,
    trials.c.number,
    trials.c.state,
    trials.c.begun_fence,
    trials.c.desired.is_not(sa.null()),
    trials.c.changed,
)


def newest(tx: Transaction, study_id: StudyId, most: int) -> list[CurveOf]:
    """The newest trials that have reports, by number."""
    reported = sa.exists().where(reports.c.trial_id == trials.c.id)
    statement = _TRIALS.where(trials.c.study_id == study_id, reported)
    return _by_number(tx, statement.order_by(trials.c.number.desc()).limit(most))


def of_numbers(tx: Transaction, study_id: StudyId, numbers: Collection[int]) -> list[CurveOf]:
    """Those of these trials that exist, by number."""
    return _by_number(tx, _TRIALS.where(trials.c.study_id == study_id, trials.c.number.in_(sorted(numbers))))


def since(tx: Transaction, study_id: StudyId, moment: str, after: int, most: int) -> list[CurveOf]:
    """Up to `most` trials that have changed since a moment, of numbers above `after`, by number."""
    statement = _TRIALS.where(trials_since(study_id, moment), trials.c.number > after)
    return _by_number(tx, statement.order_by(trials.c.number).limit(most))


def _by_number(tx: Transaction, statement: sa.Select[Any]) -> list[CurveOf]:
    return sorted((CurveOf(*row) for row in tx.execute(statement)), key=lambda one: one.number)


def page(tx: Transaction, study_id: StudyId, after: int, size: int) -> list[CurveOf]:
    """Up to `size` trials of numbers above `after`, by number."""
    statement = _TRIALS.where(trials.c.study_id == study_id, trials.c.number > after)
    return _by_number(tx, statement.order_by(trials.c.number).limit(size))


def points(tx: Transaction, ids: Sequence[TrialId], metric: str) -> Iterator[Point]:
    """A metric of all reports of these trials, also of those that count no more, by trial, run, generation, step."""
    value = reports.c.metrics[metric].as_float()
    place = (reports.c.trial_id, reports.c.fence, reports.c.rollback_generation, reports.c.step)
    statement = sa.select(*place, reports.c.epoch, value).order_by(*place)
    among = statement.where(reports.c.trial_id.in_(sa.bindparam("ids", expanding=True)))
    for first in range(0, len(ids), AT_ONCE):
        yield from tx.execute(among, {"ids": sorted(ids)[first : first + AT_ONCE]}).all()


Report = tuple[TrialId, Fence, int, int, float | None, tuple[int, dict[str, float | None]]]
"""A `Point` with all metrics of the report, and when it came."""


def whole_reports(tx: Transaction, ids: Sequence[TrialId]) -> Iterator[Report]:
    """As `points`, with all metrics, a few reports in memory at a time."""
    place = (reports.c.trial_id, reports.c.fence, reports.c.rollback_generation, reports.c.step)
    statement = sa.select(*place, reports.c.epoch, reports.c.at, reports.c.metrics).order_by(*place)
    among = statement.where(reports.c.trial_id.in_(sa.bindparam("ids", expanding=True)))
    for *point, at, metrics in tx.execute(among.execution_options(yield_per=FEW), {"ids": sorted(ids)}):
        trial_id, fence, generation, step, epoch = point
        yield trial_id, fence, generation, step, epoch, (at, metrics)


def metric_names(tx: Transaction, study_id: StudyId) -> list[str]:
    """The names of all metrics in the reports of a study, sorted."""
    keys = sa.func.json_each if tx.is_sqlite else sa.func.json_object_keys
    names = keys(reports.c.metrics).table_valued("key")
    names = names if tx.is_sqlite else names.render_derived()
    statement = sa.select(names.c.key).select_from(reports).join(trials, trials.c.id == reports.c.trial_id)
    found = tx.execute(statement.join(names, sa.true()).where(trials.c.study_id == study_id).distinct())
    return sorted(found.scalars())
