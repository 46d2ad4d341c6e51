"""Marks of a trial's curve: the report that a rule holds on to, kept from report to report.

A rule reads the curve from its start, and of each point says whether it takes the mark from the one before. What it has
come to at a step depends on the points up to there alone. So the mark is read on from where it stands; only where the
mark itself is of a part that the run went back behind is the curve read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from server.policies.guard import Point
from server.services.runs.curve import StoredCurve
from server.store import curve_marks, timeline
from server.store.curve_marks import MarkRow
from server.store.engine import Transaction
from server.store.reports import ReportRow, Segment
from server.store.trials import TrialRow

START = -1


class Rule(NamedTuple):
    """name: the same for the same rule, whatever the policy. takes: whether a point takes the mark from another one,
    or from none."""

    name: str
    takes: Callable[[Point | None, Point], bool]


def last_alarm() -> Rule:
    """Marks the last portion at which a drift was seen."""
    return Rule("alarm", lambda _, point: "portion" in point.metrics and bool(point.metrics.get("drift")))


def best_value(metric: str, sign: float, least_gain: float) -> Rule:
    """Marks the last value that was better than the marked one by more than `least_gain`. sign: 1 where less is
    better, else -1."""

    def takes(mark: Point | None, point: Point) -> bool:
        value, best = point.metrics.get(metric), None if mark is None else mark.metrics[metric]
        return value is not None and (best is None or sign * value < sign * best - least_gain)

    return Rule(f"best {metric} {sign:g} {least_gain!r}", takes)


def read_on(
    tx: Transaction, row: TrialRow, curve: StoredCurve, rules: Sequence[Rule], first_new: int
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
    step = min(read.values())
    for point in map(point_of, curve.after(step)):
        step = point.step
        for rule in rules:
            if step > read[rule.name] and rule.takes(marks[rule.name], point):
                marks[rule.name] = point
    _store(tx, row, newest[0], step, marks)
    return marks


def point_of(report: ReportRow) -> Point:
    return Point(report.step, report.epoch, report.metrics)


def _still_read(stored: MarkRow | None, changed: int, rule: Rule) -> tuple[int, Point | None]:
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
    known = (stored.fence, stored.rollback_generation)
    changed = stored.step + 1
    for segment, _ in curve.segments():
        if (segment.fence, segment.rollback_generation) <= known:
            break
        changed = min(changed, 0 if curve.is_of_one_run else segment.first_step)
    restore = None if stored.rollback is None else timeline.least_restore_after(tx, row.id, stored.rollback)
    return changed if restore is None else min(changed, restore + 1)


def _store(tx: Transaction, row: TrialRow, segment: Segment, step: int, marks: Mapping[str, Point | None]) -> None:
    rollback = None if row.desired is None else timeline.newest_rollback(tx, row.id)
    points = {name: None if mark is None else mark._asdict() for name, mark in marks.items()}
    of = (segment.fence, segment.rollback_generation, rollback)
    curve_marks.replace(tx, MarkRow(row.id, *of, step, points))
