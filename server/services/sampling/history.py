"""What a sampler may see, now or when a past trial was drawn: the same function for the ask and for its replay."""

from __future__ import annotations

from typing import NamedTuple

from server.store import space_revisions, trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import sign_of
from sturgeon.search.revisions import Revision, point_under
from sturgeon.search.samplers import Finished, History, Point, Running
from sturgeon.search.separation import mean
from sturgeon.space import Space


class SamplerView(NamedTuple):
    """The space that ruled, and the results and running trials in it."""

    space: Space
    history: History


class PlacedResult(NamedTuple):
    """A trial that finished, and where it lies in the space; None outside of it."""

    trial: TrialRow
    point: Point | None


class Snapshot(NamedTuple):
    """What a past read found at a study's sequence number `seq`: the next read needs no more than what came since."""

    seq: int
    revisions: list[Revision]
    ended: list[PlacedResult]


def history_at(tx: Transaction, study: StudyRow, basis: int, below: int) -> SamplerView:
    """What the sampler of trial `below` may see at the study's sequence number `basis`; scores are minimised.

    Failed, cancelled and invalid trials are in neither part. A trial of an older space revision is encoded again in
    the one that ruled; where it lies outside of that, the sampler does not see it. Replicates are one, by the number
    of the first (as is `below`).
    """
    return _seen(tx, study, _whole(tx, study, basis), below)


def history_now(tx: Transaction, study: StudyRow, before: Snapshot | None) -> tuple[SamplerView, Snapshot]:
    """The same at the study's present sequence number, and what the next call shall be given as `before`."""
    snapshot = _since(tx, study, before)
    return _seen(tx, study, snapshot, study.next_number), snapshot


def _whole(tx: Transaction, study: StudyRow, basis: int) -> Snapshot:
    rows = space_revisions.until(tx, study.id, basis)
    revisions = [Revision(row.revision, Space.model_validate(row.space), row.added) for row in rows]
    return Snapshot(basis, revisions, _ended(revisions, trials.finished(tx, study.id, basis)))


def _since(tx: Transaction, study: StudyRow, before: Snapshot | None) -> Snapshot:
    """A snapshot of later than now, of another space, or with a trial that counts no more is of no use."""
    if before is None or before.seq > study.seq or before.revisions[-1].number != study.revision:
        return _whole(tx, study, study.seq)
    if before.seq == study.seq:
        return before
    if trials.any_invalid_since(tx, study.id, before.seq):
        return _whole(tx, study, study.seq)
    new = trials.finished(tx, study.id, study.seq, after=before.seq)
    return Snapshot(study.seq, before.revisions, [*before.ended, *_ended(before.revisions, new)])


def _ended(revisions: list[Revision], finished: list[TrialRow]) -> list[PlacedResult]:
    return [PlacedResult(trial, _point(revisions, trial)) for trial in finished]


def _seen(tx: Transaction, study: StudyRow, snapshot: Snapshot, below: int) -> SamplerView:
    revisions = snapshot.revisions
    still = trials.still_running(tx, study.id, snapshot.seq, below)
    sign = sign_of(study.direction)
    waiting = {group_of(trial): trial for trial in reversed(still)}
    finished = [
        _finished(group, members[0].point, [one.trial for one in members], sign)
        for group, members in _together(snapshot.ended).items()
        if group not in waiting and members[0].point is not None
    ]
    running = [
        Running(group, point)
        for group, trial in sorted(waiting.items())
        if (point := _point(revisions, trial)) is not None
    ]
    return SamplerView(revisions[-1].space, History(tuple(finished), tuple(running)))


def group_of(trial: TrialRow) -> int:
    """The first of the trials with the same parameters; without replicates the trial itself."""
    return trial.number if trial.group_number is None else trial.group_number


def _together(ended: list[PlacedResult]) -> dict[int, list[PlacedResult]]:
    """Trials by group; a group stands where the last of it finished."""
    found: dict[int, list[PlacedResult]] = {}
    for one in ended:
        group = group_of(one.trial)
        found[group] = [*found.pop(group, []), one]
    return found


def _finished(group: int, point: Point, members: list[TrialRow], sign: float) -> Finished:
    """The mean of the members: those that failed count for nothing; where one diverged, the group did."""
    value = mean([trial.score for trial in members])
    # What a trial that was stopped early took says nothing of what a whole one costs.
    seconds = mean([trial.metrics.get("seconds") if trial.state == "complete" else None for trial in members])
    return Finished(group, point, None if value is None else sign * value, seconds)


def _point(revisions: list[Revision], trial: TrialRow) -> Point | None:
    """The point that the trial stores; only one of another revision is encoded again."""
    if trial.revision == revisions[-1].number:
        return tuple(trial.point)
    return point_under(revisions, trial.revision, trial.params)
