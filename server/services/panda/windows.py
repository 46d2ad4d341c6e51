"""The points of a curve that a rule needs: with them alone it decides as with the whole curve, however long that is."""

from __future__ import annotations

from collections.abc import Iterable

from server.policies.guard import Point
from server.services.panda.curve_marks import point_of
from server.services.runs.curve import StoredCurve


def of_guard(curve: StoredCurve, metric: str, within_epochs: float, from_step: int) -> list[Point]:
    """The last value up to a change, and all points after it until the guard has held."""
    before = next((one for one in map(point_of, curve.up_to(from_step)) if metric in one.metrics), None)
    start = 0.0 if before is None or before.epoch is None else before.epoch
    window = [] if before is None else [before]
    for count, point in enumerate(map(point_of, curve.after(from_step)), start=1):
        window.append(point)
        passed = count if point.epoch is None else point.epoch - start
        if metric in point.metrics and passed > within_epochs:
            break
    return window


def of_plateau(curve: StoredCurve, best: Point | None, steps: Iterable[int]) -> list[Point]:
    """The best point, the last one, and when the changes and proposals of these steps were: of those only the epoch."""
    at = [point._replace(metrics={}) for step in steps if (point := last_up_to(curve, step)) is not None]
    return _in_order([*at, last(curve), best])


def of_schedule(curve: StoredCurve, proposed_at: int) -> list[Point]:
    """The last point, and the one of the newest proposal."""
    return _in_order([last_up_to(curve, proposed_at), last(curve)])


def of_drift(curve: StoredCurve, alarm: Point | None) -> list[Point]:
    """The last portion with an alarm, and the last one."""
    if alarm is None:
        return []
    newest = last(curve)
    if newest is not None and "portion" in newest.metrics:
        return _in_order([alarm, newest])
    portion = next((one for one in map(point_of, curve.up_to(_END)) if "portion" in one.metrics), None)
    return _in_order([alarm, portion])


def last(curve: StoredCurve) -> Point | None:
    return None if curve.newest is None else point_of(curve.newest)


def last_up_to(curve: StoredCurve, step: int) -> Point | None:
    return None if step < 0 else next(map(point_of, curve.up_to(step)), None)


_END = 2**63 - 2


def _in_order(points: Iterable[Point | None]) -> list[Point]:
    """By step; of two of one step the later."""
    found = {point.step: point for point in points if point is not None}
    return [found[step] for step in sorted(found)]
