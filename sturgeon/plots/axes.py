"""Parameters as axes: on the scale that the space names, with labels as people read the values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sturgeon.messages.rows import CellValue, TableParameter
from sturgeon.plots.specs import Spec, short
from sturgeon.plots.summaries import is_number, span

MOST_VALUES: Final = 30
"""Values of a choice on one axis."""

FEW: Final = 30
BESIDE: Final = 0.5
"""A whole number of at most so many values is drawn within so much of its place, so that one sees each trial."""

SHARES: Final = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Where an axis of odds has labels."""


def searched(parameters: Iterable[TableParameter]) -> list[TableParameter]:
    """Those that vary: neither fixed, nor of one value, nor taken out of the space."""
    return [one for one in parameters if one.current and one.kind != "fixed" and not _is_constant(one)]


def _is_constant(parameter: TableParameter) -> bool:
    if parameter.values is not None:
        return len(parameter.values) < 2
    return parameter.low is not None and parameter.low == parameter.high


def is_choice(parameter: TableParameter) -> bool:
    """Whether its values are names, not places on a scale."""
    return parameter.kind in ("choice", "fixed")


def position(parameter: TableParameter) -> str:
    """The field that `to_position` adds."""
    return f"at_{parameter.field}"


def to_position(parameter: TableParameter) -> list[Spec]:
    """Transforms: rows in which the parameter is active, with its place on the axis."""
    raw, place = f"datum.{parameter.field}", position(parameter)
    if is_choice(parameter):
        known = f"indexof(values_{parameter.field}, {raw}) >= 0"
        return [{"filter": known}, {"calculate": raw, "as": place}]
    return [
        {"filter": f"isValid({raw}) && isNumber({raw})"},
        {"calculate": place_expression(parameter, raw), "as": place},
        {"filter": f"isValid(datum.{place}) && isFinite(datum.{place}){_bound(parameter, place)}"},
    ]


def aside(parameter: TableParameter, other: bool = False) -> list[Spec]:
    """Transforms that put trials of one value beside each other: `aside`, or `aside2`, in [0, 1], for `offset`; of a
    whole number with few values it moves the place itself. By the trial's number, so that each stays where it is."""
    golden = 0.7548776662466927 if other else 0.5698402909980532  # the plane's golden ratio: no two numbers are near
    share = f"(datum.number * {golden}) % 1"
    if is_choice(parameter):
        return [{"calculate": share, "as": "aside2" if other else "aside"}]
    if _is_beside(parameter):
        place = position(parameter)
        return [{"calculate": f"datum.{place} + ({share} - 0.5) * {BESIDE}", "as": place}]
    return []


def _is_beside(parameter: TableParameter) -> bool:
    return parameter.kind == "int" and parameter.scale == "linear" and _values_of(parameter) <= FEW


def offset(parameter: TableParameter, channel: str, other: bool = False) -> Spec:
    """The encoding that goes with `aside`: xOffset or yOffset of a choice."""
    if not is_choice(parameter):
        return {}
    field = "aside2" if other else "aside"
    return {f"{channel}Offset": {"field": field, "type": "quantitative", "scale": {"domain": [-0.2, 1.2]}}}


def _values_of(parameter: TableParameter) -> float:
    return math.inf if parameter.low is None or parameter.high is None else parameter.high - parameter.low


def value_params(parameters: Iterable[TableParameter]) -> list[Spec]:
    """The values of choices as signals, which `to_position` reads: so none is part of an expression."""
    return [{"name": f"values_{one.field}", "value": _values(one)} for one in parameters if is_choice(one)]


def _values(parameter: TableParameter) -> list[CellValue]:
    return (parameter.values or [])[:MOST_VALUES]


def place_expression(parameter: TableParameter, raw: str) -> str:
    """The place of a value on the axis: 1 - beta, the log of the odds, or the value."""
    match parameter.scale:
        case "one_minus_log":
            return f"1 - {raw}"
        case "logit":
            return f"log({raw} / (1 - {raw}))"
        case _:
            return raw


def _bound(parameter: TableParameter, place: str) -> str:
    return f" && datum.{place} > 0" if _is_log(parameter) else ""


def _is_log(parameter: TableParameter) -> bool:
    return parameter.scale in ("log", "one_minus_log")


def encoding(parameter: TableParameter, **axis: Any) -> Spec:
    """The axis of a parameter, for `x` or `y`."""
    title = short(parameter.name, 48)
    found: Spec = {"field": position(parameter), "title": title}
    if is_choice(parameter):
        return found | {
            "type": "ordinal",
            "scale": {"type": "band", "domain": _values(parameter)},
            "axis": {"labelAngle": 0, "labelOverlap": True, "labelLimit": 110, **axis},
        }
    return found | {"type": "quantitative", "scale": scale_of(parameter), "axis": _axis_of(parameter) | axis}


def scale_of(parameter: TableParameter) -> Spec:
    """The Vega-Lite scale of a number: the range of the space, or more where trials lie outside of it."""
    ends = [end for end in (parameter.low, parameter.high) if end is not None]
    places = sorted(place_of(parameter, end) for end in ends)
    found: Spec = {"zero": False, "nice": False, "padding": 6}
    if len(places) == 2 and all(map(math.isfinite, places)):
        found["domain"] = {"unionWith": places}
    if _is_log(parameter):
        found["type"] = "log"
    if parameter.scale == "one_minus_log":
        found["reverse"] = True
    return found


def place_of(parameter: TableParameter, value: float) -> float:
    """`place_expression`, in Python."""
    match parameter.scale:
        case "one_minus_log":
            return 1 - value
        case "logit":
            return math.log(value / (1 - value)) if 0 < value < 1 else math.inf
        case _:
            return value


def spans(parameters: Iterable[TableParameter]) -> dict[str, Spec]:
    """Summaries: of each number the range of the space, or more where trials lie outside of it."""
    return {f"span_{one.field}": _span(one) for one in parameters if not is_choice(one)}


BOUNDS: Final = {"log": (0.0, None), "one_minus_log": (None, 1.0), "logit": (0.0, 1.0)}
"""Values that have a place on an axis lie between these."""


def _span(parameter: TableParameter) -> Spec:
    over, under = _reach(parameter)
    ends = [end for end in (parameter.low, parameter.high) if end is not None and is_number(end)]
    inside = [end for end in ends if (over is None or end > over) and (under is None or end < under)]
    return span(parameter.field, inside if len(inside) == 2 else [], over, under)


def _reach(parameter: TableParameter) -> tuple[float | None, float | None]:
    """Values between these have a place on the axis: at most as far beyond each end of the space as it is wide. One
    value far away would leave no room for all others."""
    low, high = parameter.low, parameter.high
    bounds = BOUNDS.get(parameter.scale or "", (None, None))
    if low is None or high is None or not low < high:
        return bounds
    if parameter.scale == "log" and low > 0:
        over, under = low * (low / high), high * (high / low)
    elif parameter.scale == "linear":
        over, under = low - (high - low), high + (high - low)
    else:
        return bounds
    return (over, under) if is_number(over) and is_number(under) else bounds


def _is_inside(parameters: Sequence[TableParameter]) -> str:
    ends = [(f"datum.{one.field}", f"span_{one.field}") for one in parameters if not is_choice(one)]
    return " && ".join(f"{value} >= {span}[0] && {value} <= {span}[1]" for value, span in ends)


def inside(*parameters: TableParameter) -> list[Spec]:
    """Transforms that keep the rows within the axes of `settled`."""
    condition = _is_inside(parameters)
    return [{"filter": condition}] if condition else []


def outside(transforms: list[Spec], *parameters: TableParameter) -> list[Spec]:
    """A layer that says how many rows are not drawn, since they lie far outside of the axes; nothing where none does.
    It stands beside the title of the axis, where no mark is."""
    condition = _is_inside(parameters)
    if not condition:
        return []
    axis = "this axis" if len(parameters) == 1 else "these axes"
    told = f"format(datum.count, ',') + (datum.count === 1 ? ' trial' : ' trials') + ' far outside of {axis}'"
    count = [{"aggregate": [{"op": "count", "as": "count"}]}, {"filter": "datum.count > 0"}]
    place = {"align": "right", "baseline": "bottom", "dy": 36}
    return [
        {
            "transform": [*transforms, {"filter": f"!({condition})"}, *count, {"calculate": told, "as": "note"}],
            "mark": {"type": "text", "style": ["note"], **place, "aria": False},
            "encoding": {
                "x": {"value": "width"},
                "y": {"value": "height"},
                "text": {"field": "note", "type": "nominal"},
            },
        }
    ]


def settled(parameter: TableParameter, **axis: Any) -> Spec:
    """`encoding` on the summary of `spans`, which does not change with each row."""
    found = encoding(parameter, **axis)
    if is_choice(parameter):
        return found
    ends = [f"span_{parameter.field}[{end}]" for end in (0, 1)]
    if _is_beside(parameter):
        ends = [f"{ends[0]} - {BESIDE / 2}", f"{ends[1]} + {BESIDE / 2}"]
    places = [place_expression(parameter, end) for end in ends]
    ordered = reversed(places) if parameter.scale == "one_minus_log" else places
    return found | {"scale": found["scale"] | {"domain": [{"expr": place} for place in ordered]}}


def _axis_of(parameter: TableParameter) -> Spec:
    ticks = ticks_of(parameter)
    found: Spec = {"values": ticks} if ticks else {"tickCount": 5}
    return found | {"labelExpr": label_expression(parameter), "labelOverlap": True}


def label_expression(parameter: TableParameter) -> str:
    """What is written at a tick: the value, not its place."""
    match parameter.scale:
        case "one_minus_log":
            return "format(1 - datum.value, '.6~g')"
        case "logit":
            return "format(1 / (1 + exp(-datum.value)), '.4~g')"
        case "log":
            plain = "datum.value >= 0.001 && datum.value < 100000"
            return f"{plain} ? format(datum.value, ',.4~g') : format(datum.value, '.3~e')"
        case _:
            return "abs(datum.value) < 1e6 ? format(datum.value, ',.6~g') : format(datum.value, '.3~e')"


def ticks_of(parameter: TableParameter) -> list[float]:
    """The places of ticks: powers of ten, and 2 and 5 times these where there are few; none: let Vega choose."""
    low, high = parameter.low, parameter.high
    if low is None or high is None or not low < high:
        return []
    if parameter.scale == "logit":
        return [place_of(parameter, share) for share in SHARES if low <= share <= high] or _ends(parameter)
    if not _is_log(parameter):
        return []
    first, last = sorted((place_of(parameter, low), place_of(parameter, high)))
    if first <= 0:  # one_minus_log up to a beta that rounds to 1
        return []
    return powers(first, last)


def _ends(parameter: TableParameter) -> list[float]:
    return [place_of(parameter, end) for end in (parameter.low, parameter.high) if end is not None]


def powers(first: float, last: float) -> list[float]:
    """Round numbers between two positive ones: 3 to 8 of them where there are so many."""
    low, high = math.floor(math.log10(first)), math.ceil(math.log10(last))
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**exponent for exponent in range(low, high + 1) for factor in factors]
        inside = [float(f"{tick:.6g}") for tick in ticks if first * 0.999 <= tick <= last * 1.001]
        if len(inside) >= 3:
            return inside[:: math.ceil(len(inside) / 8)]
    return []
