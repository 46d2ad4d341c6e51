"""Scores as positions: the robust range of an axis, derived in the specification.

A penalty of 1e300 must not flatten a picture. So the axis ends where nearly all good trials lie, and what is beyond is
drawn at its edge, and counted. The range follows the data: a page that adds rows needs no new specification.
"""

from __future__ import annotations

from typing import Any, Final

from sturgeon.direction import Direction, less_is_better
from sturgeon.plots.specs import Spec
from sturgeon.plots.summaries import ENORMOUS

KEPT: Final = 10.0
"""The range goes so many spreads, and so many times the size of good scores, beyond the best. The spread is from the
best to the third quartile; or to the median or the first quartile, if what is beyond these is penalties as well."""

CUT: Final = 2.5
"""It is cut only if it would be so many times as wide otherwise; a cut hides something."""

PENALTY: Final = 100.0
"""A quartile is a penalty if it is so many times as far from the best as good scores are large (or 1)."""


STEP: Final = 1.1
"""Where the range is cut, how far it goes is a power of this: it does not move with each row."""

TINY: Final = 1e-300
"""Below it a score is drawn as 0: scales divide by their width, and could not by such a one."""


def robust(field: str, direction: Direction | None) -> list[Spec]:
    """Transforms that keep rows whose `field` is a number, and add

    - `shown`: the value, within the robust range;
    - `beyond`: -1 below it, 1 above it, 0 within;
    - `rank_cost`: what is less is better; `cost_shown`: the same, within the range.

    Values better than the range are cut only if they are enormous. Without a direction, low is taken for good.
    """
    sign = "" if direction is None or less_is_better(direction) else "-"
    return [
        {"filter": f"isValid(datum.{field}) && isNumber(datum.{field}) && isFinite(datum.{field})"},
        {"calculate": f"abs(datum.{field})", "as": "size"},
        {"joinaggregate": [{"op": "min", "field": "size", "as": "least"}]},
        {"calculate": f"{sign}datum.{field}", "as": "rank_cost"},
        {"calculate": f"datum.size < {ENORMOUS} * max(1, datum.least) ? datum.rank_cost : null", "as": "cost"},
        {
            "joinaggregate": [
                {"op": op, "field": "cost", "as": f"cost_{op}"} for op in ("min", "q1", "median", "q3", "max")
            ]
        },
        {"calculate": _good("datum."), "as": "good"},
        {"calculate": _spread("datum."), "as": "spread"},
        {"calculate": f"{KEPT} * max(datum.spread, datum.good)", "as": "room"},
        {"calculate": _limit("datum."), "as": "limit"},
        {"calculate": "clamp(datum.rank_cost, datum.cost_min, datum.limit)", "as": "cost_shown"},
        {"calculate": f"abs(datum.cost_shown) < {TINY} ? 0 : {sign}datum.cost_shown", "as": "shown"},
        {
            "calculate": f"datum.rank_cost === datum.cost_shown ? 0 : datum.{field} > datum.shown ? 1 : -1",
            "as": "beyond",
        },
    ]


def range_params(direction: Direction | None) -> list[Spec]:
    """Params: `low` and `high`, the ends of the robust range, of the summary `five`. They change seldom, since where
    the range is cut its end moves in steps."""
    low_is_good = direction is None or less_is_better(direction)
    order = ("min", "q1", "median", "q3", "max")
    costs = zip(order, range(5) if low_is_good else range(4, -1, -1), strict=True)
    sign = "" if low_is_good else "-"
    room = f"{KEPT} * max(spread, good)"
    best, worst = _not_tiny(f"{sign}cost_min"), _not_tiny(f"{sign}limit")
    found = {f"cost_{op}": f"{sign}five[{at}]" for op, at in costs}
    found |= {"good": _good(), "spread": _spread(), "whole_room": room}
    found |= {"room": f"whole_room > 0 ? pow({STEP}, ceil(log(whole_room) / log({STEP}))) : 0", "limit": _limit()}
    found |= {"low": best, "high": worst} if low_is_good else {"low": worst, "high": best}
    return [{"name": name, "expr": expression} for name, expression in found.items()]


def _not_tiny(value: str) -> str:
    return f"abs({value}) < {TINY} ? 0 : {value}"


def within_range(field: str) -> list[Spec]:
    """Transforms that keep rows whose `field` is a number, and add, by the params of `range_params`,

    - `shown`: the value, within the robust range;
    - `beyond`: -1 below it, 1 above it, 0 within.
    """
    value = f"datum.{field}"
    return [
        {"filter": f"isValid({value}) && isNumber({value}) && isFinite({value})"},
        {"calculate": f"clamp({_not_tiny(value)}, low, high)", "as": "shown"},
        {"calculate": f"{value} > max(high, {TINY}) ? 1 : {value} < min(low, -{TINY}) ? -1 : 0", "as": "beyond"},
    ]


def range_scale(**more: Any) -> Spec:
    """The scale of `shown`."""
    return {"zero": False, "domain": [{"expr": "low"}, {"expr": "high"}], **more}


def _good(of: str = "") -> str:
    """How large good scores are: as the first quartile, unless only the best is no penalty. of: `datum.`, or nothing
    where these are params."""
    best = f"abs({of}cost_min)"
    penalty = f"{of}cost_q1 - {of}cost_min > {PENALTY} * max(1, {best})"
    return f"{penalty} ? max(1, {best}) : max({best}, abs({of}cost_q1))"


def _spread(of: str = "") -> str:
    third, median, first = (f"({of}cost_{op} - {of}cost_min)" for op in ("q3", "median", "q1"))
    most = f"{PENALTY} * max(1, {of}good)"
    return f"{third} <= {most} ? {third} : {median} <= {most} ? {median} : {first} <= {most} ? {first} : 0"


def _limit(of: str = "") -> str:
    cut = f"{of}room > 0 && {of}cost_max - {of}cost_min > {CUT} * {of}room"
    return f"{cut} ? {of}cost_min + {of}room : {of}cost_max"


def beyond_edge(
    transforms: list[Spec], direction: Direction | None, what: str = "trial", *, brief: bool = False
) -> list[Spec]:
    """Layers: a dashed line where the range was cut, and how many rows lie beyond; nothing where none does.

    what: our word for a row. brief: in a narrow panel.
    """
    low_is_good = direction is None or less_is_better(direction)
    beyond = [*transforms, {"filter": "datum.beyond != 0"}]
    count = [{"op": "count", "as": "count"}, {"op": "max" if low_is_good else "min", "field": "shown", "as": "edge"}]
    counted = [*beyond, {"aggregate": count}, {"filter": "datum.count > 0"}]
    words = "' beyond'" if brief else f"(datum.count === 1 ? ' {what}' : ' {what}s') + ' beyond this line'"
    text = f"format(datum.count, ',') + {words}"
    place = {"align": "right", "baseline": "bottom" if low_is_good else "top", "dy": -5 if low_is_good else 5}
    y = {"field": "edge", "type": "quantitative"}
    return [
        {"transform": counted, "mark": {"type": "rule", "style": ["edge"], "aria": False}, "encoding": {"y": y}},
        {
            "transform": [*counted, {"calculate": text, "as": "note"}],
            "mark": {"type": "text", "style": ["note"], **place, "aria": False},
            "encoding": {"x": {"value": "width"}, "y": y, "text": {"field": "note", "type": "nominal"}},
        },
    ]


def score_axis(title: str, **more: Any) -> Spec:
    """The axis of scores: not from 0, unless 0 is near. Each label has its digits itself: the format of an axis
    rounds 0.12 to 0.1 where the axis ends near there."""
    return {"title": title, "tickCount": 5, "labelExpr": "format(datum.value, '.9~g')", **more}


def best_op(direction: Direction) -> str:
    """The aggregate that gives the best value."""
    return "min" if less_is_better(direction) else "max"


def best_of(transforms: list[Spec]) -> list[Spec]:
    """Of rows that `robust` has prepared, the best; of several the first."""
    first = {"window": [{"op": "row_number", "as": "place"}], "sort": [{"field": "rank_cost"}, {"field": "number"}]}
    return [*transforms, first, {"filter": "datum.place === 1"}]
