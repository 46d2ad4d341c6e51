"""What a sampler may see, now or when a past trial was drawn: the same function for the ask and for its replay."""

from __future__ import annotations

from typing import NamedTuple

from server.search.revisions import Revision, point_under
from server.search.samplers import Finished, History, Point, Running
from server.store import space_revisions, trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.space import Space


class Seen(NamedTuple):
    """The space that ruled, and the results and running trials in it."""

    space: Space
    history: History


def history_at(tx: Transaction, study: StudyRow, basis: int, below: int) -> Seen:
    """What the sampler of trial `below` may see at the study's sequence number `basis`; scores are minimised.

    Failed, cancelled and invalid trials are in neither part. A trial of an older space revision is encoded again in
    the one that ruled; where it lies outside of that, the sampler does not see it.
    """
    rows = space_revisions.until(tx, study.id, basis)
    revisions = [Revision(row.revision, Space.model_validate(row.space), row.added) for row in rows]
    finished, running = trials.history(tx, study.id, basis, below)
    sign = 1.0 if study.direction == "minimize" else -1.0
    return Seen(
        revisions[-1].space,
        History(
            tuple(
                _finished(trial, point, sign) for trial in finished if (point := _point(revisions, trial)) is not None
            ),
            tuple(Running(trial.number, point) for trial in running if (point := _point(revisions, trial)) is not None),
        ),
    )


def _finished(trial: TrialRow, point: Point, sign: float) -> Finished:
    score = None if trial.value is None else sign * trial.value
    # What a trial that was stopped early took says nothing of what a whole one costs.
    seconds = trial.metrics.get("seconds") if trial.state == "complete" else None
    return Finished(trial.number, point, score, seconds)


def _point(revisions: list[Revision], trial: TrialRow) -> Point | None:
    """The point that the trial stores; only one of another revision is encoded again."""
    if trial.revision == revisions[-1].number:
        return tuple(trial.point)
    return point_under(revisions, trial.revision, trial.params)
