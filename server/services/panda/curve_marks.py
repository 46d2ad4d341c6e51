"""The marks of a trial's curve (server/policies/marks.py), stored from report to report.

A mark is carried on from where it stands. The curve is read again from its start only where a rollback abandoned the
part that the mark itself is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from server.policies.curve import Point
from server.policies.marks import MarkRule
from server.services.runs.curve import StoredCurve
from server.store import curve_marks, timeline
from server.store.curve_marks import MarkRow
from server.store.engine import Transaction
from server.store.reports import ReportRow, Segment
from server.store.trials import TrialRow
from sturgeon.identifiers import Step

START = -1


class StoredPoints:
    """A stored curve as policies read it."""

    def __init__(self, curve: StoredCurve) -> None:
        self._curve = curve

    @property
    def newest(self) -> Point | None:
        return None if self._curve.newest is None else point_of(self._curve.newest)

    def after(self, step: int) -> Iterator[Point]:
        return map(point_of, self._curve.after(step))

    def up_to(self, step: int) -> Iterator[Point]:
        return map(point_of, self._curve.up_to(step))


def read_on(
    tx: Transaction, row: TrialRow, curve: StoredCurve, rules: Sequence[MarkRule], first_new: int
) -> dict[str, Point | None]:
    """By its name, the point that each rule marks in the whole curve. `first_new`: the least step that has come since
    it was called last. The trial's row is locked."""
    newest = next(curve.segments(), None)
    if newest is None:
        return dict.fromkeys((rule.name for rule in rules), None)
    stored = curve_marks.find(tx, row.id)
    changed = START if stored is None else min(first_new, _changed_since(tx, row, curve, stored))
    read, marks = {}, {}
    for rule in rules:
        read[rule.name], marks[rule.name] = _still_read(stored, changed, rule)
    step = Step(min(read.values()))
    for point in map(point_of, curve.after(step)):
        step = Step(point.step)
        for rule in rules:
            if step > read[rule.name] and rule.takes(marks[rule.name], point):
                marks[rule.name] = point
    _store(tx, row, newest[0], step, marks)
    return marks


def point_of(report: ReportRow) -> Point:
    return Point(report.step, report.epoch, report.metrics)


def _still_read(stored: MarkRow | None, changed: int, rule: MarkRule) -> tuple[int, Point | None]:
    """Up to which step the curve is as the rule read it, and its mark there."""
    if stored is None or rule.name not in stored.points:
        return START, None
    point = stored.points[rule.name]
    mark = None if point is None else Point(**point)
    if changed <= 0 or (mark is not None and mark.step >= changed):
        return START, None
    return min(stored.step, changed - 1), mark


def _changed_since(tx: Transaction, row: TrialRow, curve: StoredCurve, stored: MarkRow) -> int:
    """The least step at which the curve may be another one, by later segments and rollbacks."""
    if (stored.rollback is None) != (row.desired is None):  # of own code that was never steered, one run counts
        return 0
    if row.begun_fence is not None and stored.fence < row.begun_fence:  # own code that began again
        return 0
    known = (stored.fence, stored.rollback_generation)
    changed = stored.step + 1
    for segment, _ in curve.segments():
        if (segment.fence, segment.rollback_generation) <= known:
            break
        began = segment.ends_earlier_runs if segment.fence > stored.fence else changed
        changed = min(changed, 0 if curve.is_of_one_run else min(began, segment.first_step))
    restore = None if stored.rollback is None else timeline.least_restore_after(tx, row.id, stored.rollback)
    return changed if restore is None else min(changed, restore + 1)


def _store(tx: Transaction, row: TrialRow, segment: Segment, step: Step, marks: Mapping[str, Point | None]) -> None:
    rollback = None if row.desired is None else timeline.newest_rollback(tx, row.id)
    points = {name: None if mark is None else mark._asdict() for name, mark in marks.items()}
    of = (segment.fence, segment.rollback_generation, rollback)
    curve_marks.replace(tx, MarkRow(row.id, *of, step, points))
