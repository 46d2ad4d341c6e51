"""What a sampler may see now. What it saw when a past trial was drawn is in `past.py`: the same, of an earlier time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from server.services.views import space_of
from server.store import results, space_revisions
from server.store.engine import Transaction
from server.store.results import PlacedRow, ResultRow
from server.store.studies import StudyRow
from sturgeon.direction import sign_of
from sturgeon.search.cube import Cube
from sturgeon.search.distinct import can_repeat, point_keys
from sturgeon.search.evidence import (
    BEST,
    ROUNDS,
    Begun,
    Evidence,
    chosen_by_chance,
    extended,
    next_start,
    no_evidence,
    selection,
    takes_all,
)
from sturgeon.search.keys import KeySet
from sturgeon.search.registry import REGISTERED
from sturgeon.search.results import Results
from sturgeon.search.revisions import Revision, point_under
from sturgeon.search.samplers import Finished, History, Point, Running
from sturgeon.search.scores import round_starts
from sturgeon.search.separation import mean
from sturgeon.space import Space

CHUNK: Final = 1000


class SamplerView(NamedTuple):
    """The space that was in force, and the results and running trials in it."""

    space: Space
    history: History


class HandedOut(NamedTuple):
    """The keys of the points of all trials before number `below` that lie in the space, whatever became of them."""

    below: int = 0
    keys: KeySet = KeySet()


class Snapshot(NamedTuple):
    """What was read at a study's sequence number `seq`: the next read needs only what has come since.

    `evidence`: what there is to learn from. With replicates there are `members` instead, the results of all trials, of
    which the groups are made.
    """

    seq: int
    revisions: list[Revision]
    evidence: Evidence
    members: list[ResultRow]
    handed_out: HandedOut = HandedOut()

    @property
    def at(self) -> tuple[int, int]:
        """Of two snapshots of a study the later one has more."""
        return self.seq, self.handed_out.below

    @property
    def round(self) -> tuple[int, int]:
        """The present round, see `round_of`."""
        return round_of(self.revisions[-1].number, self.evidence)

    def may_begin_round(self, seq: int) -> bool:
        """Whether a round may begin up to the sequence number `seq`, if all that came since were results."""
        dimensions = len(self.revisions[-1].space.searched)
        most = self.evidence.total + seq - self.seq
        return bool(self.members) or most >= next_start(self.evidence, dimensions)


def round_of(revision: int, evidence: Evidence) -> tuple[int, int]:
    """The round of a revision that draws now, by how many results it began with; 0 before the first."""
    return revision, evidence.rounds[-1].start if evidence.rounds else 0


def history_now(tx: Transaction, study: StudyRow, before: Snapshot | None) -> tuple[SamplerView, Snapshot]:
    """What the study's next sample may be drawn from; scores are minimised. And the next call's `before`.

    Failed, cancelled and invalid trials are not seen. A trial of an older space revision is encoded again in the one
    that is in force; the sampler does not see it where it lies outside. Replicates count as one, under the number of
    the first.
    """
    snapshot, running = _since(tx, study, before)
    snapshot = _with_handed_out(tx, study, snapshot)
    revisions = snapshot.revisions
    view = view_of(study, revisions, running, snapshot.evidence, snapshot.members)
    return view._replace(history=view.history._replace(handed_out=snapshot.handed_out.keys)), snapshot


def revisions_until(tx: Transaction, study: StudyRow, basis: int) -> list[tuple[int, Revision]]:
    """The study's spaces up to the sequence number `basis`, each with the number from which on it was in force."""
    rows = space_revisions.until(tx, study.id, basis)
    return [(row.seq, Revision(row.revision, space_of(row), row.added)) for row in rows]


def _since(tx: Transaction, study: StudyRow, before: Snapshot | None) -> tuple[Snapshot, list[PlacedRow]]:
    """The present snapshot, and the trials that run. `before` saves reading, unless it is newer than this transaction,
    of another revision, or has a trial that has become invalid since."""
    if before is None or before.seq > study.seq or before.revisions[-1].number != study.revision:
        snapshot = _whole(tx, study)
    elif before.seq == study.seq:
        snapshot = before
    elif study.seq - before.seq <= CHUNK:
        news = results.news(tx, study.id, before.seq, study.seq, study.next_number, study.revision)
        return (_whole(tx, study) if news.any_invalid else _with_results(study, before, news.results)), news.running
    elif results.any_invalid_since(tx, study.id, before.seq):
        snapshot = _whole(tx, study)
    else:
        snapshot = _grown(tx, study, before)
    return snapshot, results.running(tx, study.id, study.next_number, study.revision)


def _whole(tx: Transaction, study: StudyRow) -> Snapshot:
    revisions = [revision for _, revision in revisions_until(tx, study, study.seq)]
    dimensions = len(revisions[-1].space.searched)
    if study.replicates == 1 and len(revisions) == 1:
        total = results.count(tx, study.id, study.seq)
        if not takes_all(total):
            evidence = evidence_at(total, dimensions, lambda place: _selection(tx, study, revisions, place, total))
            return Snapshot(study.seq, revisions, evidence, [])
    return _grown(tx, study, Snapshot(0, revisions, no_evidence(dimensions), []))


def _grown(tx: Transaction, study: StudyRow, before: Snapshot) -> Snapshot:
    """`before` with what came after it, however much that is."""
    rows = results.after(tx, study.id, before.seq, study.seq, before.revisions[-1].number)
    return _with_results(study, before, rows)


def _with_results(study: StudyRow, before: Snapshot, found: Iterable[ResultRow]) -> Snapshot:
    """`before` with what was found after it, up to the study's sequence number."""
    revisions, evidence, rows = before.revisions, before.evidence, iter(found)
    if study.replicates > 1:
        return before._replace(seq=study.seq, members=[*before.members, *rows])
    while chunk := list(islice(rows, CHUNK)):
        evidence = extended(evidence, results_of(study, revisions, chunk))
    return before._replace(seq=study.seq, evidence=evidence)


def evidence_at(total: int, dimensions: int, chosen: Callable[[int], Results]) -> Evidence:
    """What there is to learn from `total` results. `chosen(place)`: of the first `place` results all, or the
    selection of them."""
    starts = round_starts(dimensions, total)[-ROUNDS:]
    return Evidence(chosen(total), total, tuple(Begun(start, chosen(start)) for start in starts))


def _selection(tx: Transaction, study: StudyRow, revisions: list[Revision], place: int, total: int) -> Results:
    """The selection of the first `place` of `total` results, which indexes find."""
    basis = study.seq if place == total else results.seq_of(tx, study.id, place - 1)
    if takes_all(place):
        return results_of(study, revisions, results.after(tx, study.id, 0, basis, revisions[-1].number))
    chance = chosen_by_chance(study.next_number, place)
    best = results.best(tx, study.id, sign_of(study.direction), basis, BEST)
    chosen = sorted({*best, *chance})
    found = results_of(study, revisions, results.visible_of(tx, study.id, chosen, basis, revisions[-1].number))
    return selection(found, place)


def _with_handed_out(tx: Transaction, study: StudyRow, snapshot: Snapshot) -> Snapshot:
    """Read which points are taken, where draws might repeat them. All trials before the next were there when it is
    drawn, so that its replay sees the same."""
    below = study.next_number
    if not looks_back(study, snapshot.revisions) or snapshot.handed_out.below == below:
        return snapshot
    before = snapshot.handed_out if snapshot.handed_out.below < below else HandedOut()
    revisions, keys = snapshot.revisions, before.keys
    cube, rows = Cube(revisions[-1].space), results.handed_out(tx, study.id, before.below, below, revisions[-1].number)
    while chunk := list(islice(rows, CHUNK)):
        keys = keys.with_keys(point_keys(cube, placed_points(revisions, chunk)))
    return snapshot._replace(handed_out=HandedOut(below, keys))


def looks_back(study: StudyRow, revisions: list[Revision]) -> bool:
    """Whether the sampler has to know all points that were drawn before."""
    return REGISTERED[study.sampler].ends or can_repeat(revisions[-1].space)


def view_of(
    study: StudyRow,
    revisions: list[Revision],
    running: Sequence[PlacedRow],
    evidence: Evidence,
    members: list[ResultRow],
) -> SamplerView:
    """What the sampler sees of these results and of the trials that run. members: of replicates, instead of `evidence`;
    a group is seen when none of its trials runs."""
    space = revisions[-1].space
    waiting = {row.group: row for row in reversed(running)}
    if study.replicates > 1:
        ended = _groups(study, revisions, [row for row in members if row.placed.group not in waiting])
        evidence = extended(no_evidence(len(space.searched)), ended)
    points = [(group, point_of(revisions, row)) for group, row in sorted(waiting.items())]
    seen = tuple(Running(group, point) for group, point in points if point is not None)
    return SamplerView(space, History(evidence.finished, seen, evidence=evidence))


def results_of(study: StudyRow, revisions: list[Revision], rows: Iterable[ResultRow]) -> Results:
    """The results that lie in the space, with scores to be minimised."""
    sign = sign_of(study.direction)
    finished = [
        Finished(
            row.placed.number,
            point,
            None if row.score is None else sign * row.score,
            row.seconds,
            row.state == "complete",
        )
        for row in rows
        if (point := point_of(revisions, row.placed)) is not None
    ]
    return Results.of(finished, len(revisions[-1].space.searched))


def _groups(study: StudyRow, revisions: list[Revision], members: list[ResultRow]) -> Results:
    """The result of each group, the mean of its members; in the order in which the last of each has finished. Those
    that failed do not count; where one has diverged, the group has."""
    groups: dict[int, list[ResultRow]] = {}
    for row in members:
        groups[row.placed.group] = [*groups.pop(row.placed.group, []), row]
    return results_of(study, revisions, [_of_group(group) for group in groups.values()])


def _of_group(members: list[ResultRow]) -> ResultRow:
    first = members[0].placed
    return ResultRow(
        first._replace(number=first.group),
        "complete" if any(row.state == "complete" for row in members) else "pruned",
        mean([row.score for row in members]),
        mean([row.seconds for row in members]),
    )


def placed_points(revisions: list[Revision], rows: Iterable[PlacedRow]) -> list[Point]:
    """The points of those that lie in the space."""
    return [point for row in rows if (point := point_of(revisions, row)) is not None]


def point_of(revisions: list[Revision], row: PlacedRow) -> Point | None:
    """The trial's stored point; a trial of another revision is encoded again, and None outside of the space."""
    if row.revision == revisions[-1].number:
        return tuple(row.point)
    return point_under(revisions, row.revision, row.params or {})
