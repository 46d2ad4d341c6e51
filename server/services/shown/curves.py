"""Curves for pictures: one metric of many trials, or all metrics of one, of the reports that count and thinned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

from pydantic_core import to_json

from server.services import lookup
from server.services.runs.curve import is_of_all_runs
from server.services.shown.cursors import Cursor, cursor_of
from server.services.shown.curve_memo import CurveKey, CurveMemo, ThinCurve
from server.services.shown.rows import of_study
from server.services.shown.thinning import kept
from server.store import changes, curve_points, reports, run_starts, timeline
from server.store.curve_points import CurveOf, Point, Report
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon.identifiers import Fence
from sturgeon.values import Json

MOST: Final = 1_000
"""Curves of one answer."""


class Wanted(NamedTuple):
    """Which curves: of the study's metric, or another one; all trials, or those of some numbers."""

    points: int
    metric: str | None = None
    numbers: Collection[int] | None = None
    since: str | None = None


def curves(database: Database, memo: CurveMemo, name: str, wanted: Wanted) -> bytes:
    """One metric of many trials, as JSON: messages.Curves. Raises: NotFound."""
    with database.reading() as tx:
        return to_json(read_curves(tx, memo, lookup.get_study(tx, name), wanted), inf_nan_mode="null")


def read_curves(tx: Transaction, memo: CurveMemo, study: StudyRow, wanted: Wanted) -> Json:
    """A messages.Curves; made by hand, since it may have 200,000 points."""
    metric = wanted.metric or study.metric
    now = changes.moment(tx)
    known = cursor_of(wanted.since, of_study(study), now)
    if wanted.numbers is not None:
        chosen = curve_points.of_numbers(tx, study.id, wanted.numbers)
    elif known is None:
        chosen = curve_points.newest(tx, study.id, MOST)
    else:
        chosen = curve_points.since(tx, study.id, known.moment, known.after, MOST)
    last = chosen[-1].number if known is not None and wanted.numbers is None and len(chosen) == MOST else None
    cursor = Cursor(of_study(study), now) if known is None else known.next(now, last)
    found = _thinned(tx, memo, study, chosen, metric, wanted.points)
    if known is None:  # else the reader has to hear of curves that have no points any more
        found = [(of, curve) for of, curve in found if curve.values]
    return {
        "study": study.name,
        "metric": metric,
        "direction": study.direction if metric == study.metric else None,
        "axis": "epoch" if not found or any(curve.has_epochs for _, curve in found) else "step",
        "cursor": str(cursor),
        "left_out": max(0, study.next_number - MOST) if known is None and wanted.numbers is None else 0,
        "more": cursor.began is not None,
        "curves": [
            {"number": of.number, "state": of.state, "epochs": curve.epochs, "values": curve.values}
            for of, curve in found
        ],
    }


def _thinned(
    tx: Transaction, memo: CurveMemo, study: StudyRow, chosen: Sequence[CurveOf], metric: str, most: int
) -> list[tuple[CurveOf, ThinCurve]]:
    """The curves of the trials that have reports, by number."""
    keys = {of.id: CurveKey(study.id, of.id, of.changed, metric, most) for of in chosen}
    curves = {of.id: curve for of in chosen if (curve := memo.find(keys[of.id])) is not None}
    unknown = [of for of in chosen if of.id not in curves]
    points = curve_points.points(tx, [of.id for of in unknown], metric)
    for of, found in counted(tx, study, unknown, points):
        curves[of.id] = _thin(found, most)
        memo.keep(keys[of.id], curves[of.id])
    return [(of, curve) for of in chosen if (curve := curves.get(of.id)) is not None]


def _thin(points: Sequence[Point], most: int) -> ThinCurve:
    along = [(float(step) if epoch is None else epoch, value) for *_, step, epoch, value in points if value is not None]
    places = kept([value for _, value in along], most)
    has_epochs = any(epoch is not None for *_, epoch, _ in points)
    return ThinCurve([along[place][0] for place in places], [along[place][1] for place in places], has_epochs)


AnyPoint = TypeVar("AnyPoint", Point, Report)


def counted(
    tx: Transaction, study: StudyRow, chosen: Sequence[CurveOf], points: Iterable[AnyPoint]
) -> Iterator[tuple[CurveOf, list[AnyPoint]]]:
    """Of all points of the chosen trials those that count, by step; trials by id. See `runs/curve.py`."""
    by_id = {one.id: one for one in chosen}
    starts = run_starts.of_trials(tx, by_id)
    rollbacks = timeline.rollbacks_of(tx, [one.id for one in chosen if one.steered])
    for trial_id, group in groupby(points, itemgetter(0)):
        of, found = by_id[trial_id], list(group)
        if is_of_all_runs(study, steered=of.steered, begun_fence=of.begun_fence):
            began = of.begun_fence or 0
            found = found if found[0][1] >= began else [point for point in found if point[1] >= began]
            found = _of_all_runs(found, starts.get(trial_id, {}), rollbacks.get(trial_id, []))
        elif found[0][1] != found[-1][1]:
            found = [point for point in found if point[1] == found[-1][1]]
        yield of, found


def _of_all_runs(
    points: list[AnyPoint], starts: Mapping[Fence, int], rollbacks: Sequence[tuple[int, int]]
) -> list[AnyPoint]:
    """The points that count; of one run, as most are, all do."""
    if not rollbacks and (not points or points[0][1:3] == points[-1][1:3]):
        return points
    first_steps: dict[tuple[Fence, int], int] = {}
    for _, fence, generation, step, *_ in points:
        first_steps.setdefault((fence, generation), step)
    segments = [(fence, generation, step) for (fence, generation), step in first_steps.items()]
    ends = reports.ends_of(segments, starts, rollbacks)
    return sorted((point for point in points if point[3] < ends[point[2], point[1]]), key=itemgetter(3))
