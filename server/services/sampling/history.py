"""What a sampler may see, now or when a past trial was drawn. The ask and its replay use the same function."""

from __future__ import annotations

from typing import NamedTuple

from server.services.views import space_of
from server.store import draws, space_revisions, trials
from server.store.draws import HandedOutRow
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import sign_of
from sturgeon.identifiers import TrialNumber
from sturgeon.search.distinct import can_repeat
from sturgeon.search.registry import REGISTERED
from sturgeon.search.revisions import Revision, point_under
from sturgeon.search.samplers import Finished, History, Point, Running
from sturgeon.search.separation import mean
from sturgeon.space import Space


class SamplerView(NamedTuple):
    """The space that was in force, and the results and running trials in it."""

    space: Space
    history: History


class PlacedResult(NamedTuple):
    """A trial that has finished, and its point in the space; None where it lies outside."""

    trial: TrialRow
    point: Point | None


class HandedOut(NamedTuple):
    """The points of all trials before number `below` that lie in the space, whatever became of them."""

    below: int = 0
    points: tuple[Point, ...] = ()


class Snapshot(NamedTuple):
    """What was read at a study's sequence number `seq`: the next read needs only what has come since."""

    seq: int
    revisions: list[Revision]
    ended: list[PlacedResult]
    handed_out: HandedOut = HandedOut()


def history_at(tx: Transaction, study: StudyRow, basis: int, below: int) -> SamplerView:
    """What the sampler of trial `below` may see at the study's sequence number `basis`; scores are minimised.

    Failed, cancelled and invalid trials are not seen. A trial of an older space revision is encoded again in the one
    that was in force at `basis`; the sampler does not see it where it lies outside. Replicates count as one, under the
    number of the first; `below` is such a number, too.
    """
    return _view(tx, study, _with_handed_out(tx, study, _whole(tx, study, basis), below), below)


def history_now(tx: Transaction, study: StudyRow, before: Snapshot | None) -> tuple[SamplerView, Snapshot]:
    """As `history_at`, at the study's present sequence number; and the next call's `before`."""
    snapshot = _with_handed_out(tx, study, _since(tx, study, before), study.next_number)
    return _view(tx, study, snapshot, study.next_number), snapshot


def _whole(tx: Transaction, study: StudyRow, basis: int) -> Snapshot:
    rows = space_revisions.until(tx, study.id, basis)
    revisions = [Revision(row.revision, space_of(row), row.added) for row in rows]
    return Snapshot(basis, revisions, _ended(revisions, trials.finished(tx, study.id, basis)))


def _since(tx: Transaction, study: StudyRow, before: Snapshot | None) -> Snapshot:
    """The present snapshot. `before` saves reading, unless it is newer than this transaction, of another revision, or
    has a trial that has become invalid since."""
    if before is None or before.seq > study.seq or before.revisions[-1].number != study.revision:
        return _whole(tx, study, study.seq)
    if before.seq == study.seq:
        return before
    if trials.any_invalid_since(tx, study.id, before.seq):
        return _whole(tx, study, study.seq)
    new = trials.finished(tx, study.id, study.seq, after=before.seq)
    ended = [*before.ended, *_ended(before.revisions, new)]
    return Snapshot(study.seq, before.revisions, ended, before.handed_out)


def _with_handed_out(tx: Transaction, study: StudyRow, snapshot: Snapshot, below: int) -> Snapshot:
    """Read which points are taken, where draws might repeat them. All trials before `below` were there when it was
    drawn, so that its replay sees the same."""
    if not REGISTERED[study.sampler].ends and not can_repeat(snapshot.revisions[-1].space):
        return snapshot
    before = snapshot.handed_out if snapshot.handed_out.below <= below else HandedOut()
    rows = draws.handed_out(tx, study.id, before.below, below)
    points = [point for row in rows if (point := _point(snapshot.revisions, row)) is not None]
    return snapshot._replace(handed_out=HandedOut(below, before.points + tuple(points)))


def _ended(revisions: list[Revision], finished: list[TrialRow]) -> list[PlacedResult]:
    return [PlacedResult(trial, _point(revisions, trial)) for trial in finished]


def _view(tx: Transaction, study: StudyRow, snapshot: Snapshot, below: int) -> SamplerView:
    revisions = snapshot.revisions
    unfinished = trials.still_running(tx, study.id, snapshot.seq, below)
    sign = sign_of(study.direction)
    waiting = {group_of(trial): trial for trial in reversed(unfinished)}
    finished = [
        _finished(group, members[0].point, [member.trial for member in members], sign)
        for group, members in _by_group(snapshot.ended).items()
        if group not in waiting and members[0].point is not None
    ]
    running = [
        Running(group, point)
        for group, trial in sorted(waiting.items())
        if (point := _point(revisions, trial)) is not None
    ]
    return SamplerView(revisions[-1].space, History(tuple(finished), tuple(running), snapshot.handed_out.points))


def group_of(trial: TrialRow) -> TrialNumber:
    """The number of the first of the trials with the same parameters; without replicates, the trial's own."""
    return trial.number if trial.group_number is None else trial.group_number


def _by_group(ended: list[PlacedResult]) -> dict[int, list[PlacedResult]]:
    """The results of each group; the groups in the order in which the last of each has finished."""
    groups: dict[int, list[PlacedResult]] = {}
    for result in ended:
        group = group_of(result.trial)
        groups[group] = [*groups.pop(group, []), result]
    return groups


def _finished(group: int, point: Point, members: list[TrialRow], sign: float) -> Finished:
    """The mean of the members. Those that failed do not count; where one has diverged, the group has."""
    value = mean([trial.score for trial in members])
    # The time of a trial that was stopped early says nothing of the cost of a whole one.
    seconds = mean([trial.metrics.get("seconds") if trial.state == "complete" else None for trial in members])
    return Finished(group, point, None if value is None else sign * value, seconds)


def _point(revisions: list[Revision], trial: TrialRow | HandedOutRow) -> Point | None:
    """The trial's stored point; a trial of another revision is encoded again, and None outside of the space."""
    if trial.revision == revisions[-1].number:
        return tuple(trial.point)
    return point_under(revisions, trial.revision, trial.params)
