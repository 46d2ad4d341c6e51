"""`parallel`: parallel coordinates, one axis a parameter and one for the score, with a brush on each axis.

It is Vega, not Vega-Lite, which has no brushes of this kind. Signals that a page may set or read: `top` (only the best
so many per cent), `brush_0`, .. (pixels from the top, or null, one for each axis), `selected` (the numbers of the
trials in all brushes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from sturgeon.direction import less_is_better, sign_of
from sturgeon.errors import NotFound
from sturgeon.messages.rows import Table, TableParameter
from sturgeon.plots import axes
from sturgeon.plots.marks import COUNTED, names_param, thinned
from sturgeon.plots.parallel_marks import ABSENT, HEIGHT, axis_marks, line_marks
from sturgeon.plots.scores import range_params, within_range
from sturgeon.plots.specs import VEGA, WIDTH, Spec, heading, number_text, short
from sturgeon.plots.summaries import five, summarized
from sturgeon.plots.ticks import ticks_with_labels
from sturgeon.plots.vega_transforms import as_signals, as_vega

MOST_AXES: Final = 12
SHADES: Final = 0.4


def parallel(table: Table, fields: str | None = None, top: str = "100", width: int | None = WIDTH) -> Spec:
    """A line for each trial with a score, the best drawn last, in the colour of its score.

    fields: those of the axes, as "p0,p3"; by default the parameters that vary, at most 12. top: per cent.
    Raises: NotFound (no parameter has this field, or none varies).
    """
    shown = _chosen(table, fields)
    content = {
        "signals": [*_size(width, len(shown) + 1), *_signals(table, shown, float(top))],
        "data": _data(table, shown),
        "scales": _scales(table),
        "marks": [*line_marks(table, len(shown)), *axis_marks(len(shown))],
    }
    left = len(_varying(table)) - len(shown)
    subtitle = ["a line is a trial; drag along an axis to pick a range"]
    subtitle += [f"{left} more parameters are not shown"] if left > 0 and fields is None else []
    subtitle += thinned(table)
    spec: Spec = {"$schema": VEGA, "description": f"Parallel coordinates of {table.study}: {len(shown)} parameters"}
    spec |= {"title": heading(f"Parameters and {short(table.objective)}", subtitle), "height": HEIGHT}
    spec |= {
        "usermeta": _summaries(table)["usermeta"],
        "padding": {"left": 24, "right": 40, "top": 8, "bottom": 12},
        "autosize": {"type": "pad"},
    }
    return spec | content


def _chosen(table: Table, fields: str | None) -> list[TableParameter]:
    if fields is None:
        found = _varying(table)[:MOST_AXES]
    else:
        by_field = {one.field: one for one in table.parameters}
        found = [by_field[field] for field in fields.split(",") if field in by_field][:MOST_AXES]
    if not found:
        raise NotFound(f"{table.study} varies no parameter of these.")
    return found


def _varying(table: Table) -> list[TableParameter]:
    """Those of the space that vary, without those that have one value in all trials."""
    searched = axes.searched(table.parameters)
    if len(table.rows) < 2:
        return searched
    values = {one.field: {str(row[one.field]) for row in table.rows if one.field in row} for one in searched}
    absent = {one.field: any(one.field not in row for row in table.rows) for one in searched}
    return [
        one for one in searched if len(values[one.field]) > 1 or (values[one.field] and absent[one.field])
    ] or searched


def _size(width: int | None, count: int) -> list[Spec]:
    """On a page as wide as its place, but for the padding and the ends of the names; a small screen scrolls."""
    if width is not None:
        return [{"name": "width", "value": width}]
    inside = f"max({70 * count}, containerSize()[0] - 144)"
    return [
        {"name": "width", "init": inside, "on": [{"events": {"source": "window", "type": "resize"}, "update": inside}]}
    ]


def _signals(table: Table, shown: Sequence[TableParameter], top: float) -> list[Spec]:
    count = len(shown) + 1
    any_brush = " || ".join(f"brush_{at}" for at in range(count))
    names = names_param(table.parameters)
    found: list[Spec] = [names, {"name": "top", "value": top}]
    found += [*_summaries(table)["params"], *as_signals(range_params(table.direction)), _worst_shown()]
    found += [{"name": "spacing", "update": f"width / {len(shown)}"}]
    found += [{"name": f"values_{at}", "value": one.values} for at, one in enumerate(shown) if axes.is_choice(one)]
    found += [_brush(at) for at in range(count)]
    found += [{"name": "brushed", "update": f"({any_brush}) ? pluck(data('passing'), 'number') : null"}]
    found += [{"name": "selected", "value": [], "on": [{"events": {"signal": "brushed"}, "update": "brushed || []"}]}]
    return found


def _brush(at: int) -> Spec:
    area, name, end = f"@area_{at}", f"brush_{at}", f"clamp(y(), 0, {HEIGHT + ABSENT + 8})"
    drag = f"[{area}:pointerdown, window:pointerup] > window:pointermove!"
    click = f"{name} && abs({name}[1] - {name}[0]) < 4 ? null : {name}"
    return {
        "name": name,
        "value": None,
        "on": [
            {"events": f"{area}:pointerdown", "update": f"[{end}, {end}]"},
            {"events": drag, "update": f"{name} ? [{name}[0], {end}] : null"},
            {"events": "window:pointerup", "update": click},
            {"events": f"{area}:dblclick", "update": "null"},
        ],
    }


def _summaries(table: Table) -> Spec:
    return summarized(table.rows, {"five": five("score")})


def _worst_shown() -> Spec:
    """The score of the last of the best so many per cent."""
    last = "min(length(data('ranked')), max(1, ceil(length(data('ranked')) * top / 100))) - 1"
    return {"name": "worst_shown", "update": f"length(data('ranked')) ? data('ranked')[{last}].score : 0"}


def _data(table: Table, shown: Sequence[TableParameter]) -> list[Spec]:
    less = less_is_better(table.direction)
    order = ("ascending", "descending") if less else ("descending", "ascending")
    best_first, worst_first = ({"type": "collect", "sort": {"field": "score", "order": one}} for one in order)
    among = {"type": "filter", "expr": f"datum.score {'<=' if less else '>='} worst_shown"}
    places = [{"type": "formula", "expr": _height(at, one), "as": f"y_{at}"} for at, one in enumerate(shown)]
    score = {"type": "formula", "expr": "scale('score', datum.shown)", "as": f"y_{len(shown)}"}
    best, worst = ("low", "high") if less else ("high", "low")
    far = f"high > low ? clamp((datum.shown - {best}) / ({worst} - {best}), 0, 1) : 0"
    # Most trials are nearer to the best than to the worst: their colours are to differ, too.
    shade = {"type": "formula", "expr": f"pow({far}, {SHADES})", "as": "shade"}
    inside = " && ".join(_within(at) for at in range(len(shown) + 1))
    return [
        {"name": "rows", "values": list(table.rows)},
        {"name": "ranked", "source": "rows", "transform": [*as_vega([COUNTED, *within_range("score")]), best_first]},
        {"name": "lines", "source": "ranked", "transform": [among, worst_first, *places, score, shade]},
        {"name": "passing", "source": "lines", "transform": [{"type": "filter", "expr": inside}]},
        {"name": "ticks", "values": _ticks(shown)},
        {"name": "titles", "values": _titles(table, shown)},
        {"name": "conditional", "source": "titles", "transform": [{"type": "filter", "expr": "datum.absent"}]},
    ]


def _height(at: int, parameter: TableParameter) -> str:
    """Pixels from the top at which a trial's value stands."""
    raw = f"datum.{parameter.field}"
    absent = f"{HEIGHT + ABSENT}"
    if axes.is_choice(parameter):
        many = max(len(parameter.values or []), 1)
        share = f"(indexof(values_{at}, {raw}) + 0.5) / {many}"
        return f"indexof(values_{at}, {raw}) < 0 ? {absent} : (1 - {share}) * {HEIGHT}"
    low, high = _range(parameter)
    place = axes.place_expression(parameter, raw)
    if parameter.scale in ("log", "one_minus_log"):
        place = f"log({place})"
    share = f"clamp(({place} - {low!r}) / {high - low!r}, -0.02, 1.02)"
    return f"isValid({raw}) && isNumber({raw}) ? (1 - {share}) * {HEIGHT} : {absent}"


def _range(parameter: TableParameter) -> tuple[float, float]:
    """Where the axis begins and ends, on its scale; greater values of the parameter are higher."""
    low, high = parameter.low, parameter.high
    if low is None or high is None or not low < high:
        return 0.0, 1.0
    return unit_place(parameter, low), unit_place(parameter, high)


def unit_place(parameter: TableParameter, value: float) -> float:
    """The place of a value on a straight axis."""
    place = axes.place_of(parameter, value)
    return math.log(place) if parameter.scale in ("log", "one_minus_log") else place


def _within(at: int) -> str:
    brush, place = f"brush_{at}", f"datum.y_{at}"
    return f"(!{brush} || inrange({place}, {brush}))"


def _ticks(shown: Sequence[TableParameter]) -> list[Spec]:
    """Rows: the axis, pixels from the top, and the label."""
    found = []
    for at, one in enumerate(shown):
        if axes.is_choice(one):
            values = one.values or []
            places = [
                ((at_value + 0.5) / len(values), short(_text(value), 24)) for at_value, value in enumerate(values)
            ]
        else:
            low, high = _range(one)
            places = [((unit_place(one, value) - low) / (high - low), label) for value, label in ticks_with_labels(one)]
        found += [{"axis": at, "y": (1 - share) * HEIGHT, "label": label} for share, label in places]
    return found


def _text(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else number_text(value)
        if isinstance(value, float)
        else str(value)
    )


def _titles(table: Table, shown: Sequence[TableParameter]) -> list[Spec]:
    names = [*(one.name for one in shown), table.objective]
    conditional = [any(one.field not in row for row in table.rows) for one in shown] + [False]
    return [{"axis": at, "title": short(name, 40), "absent": conditional[at]} for at, name in enumerate(names)]


def _scales(table: Table) -> list[Spec]:
    """The score's axis has the best on top, whichever way is better."""
    up = [HEIGHT, 0] if sign_of(table.direction) < 0 else [0, HEIGHT]
    domain = {"signal": "[low, high]"}
    return [
        {"name": "score", "type": "linear", "domain": domain, "range": up, "zero": False, "nice": True},
        {"name": "colour", "type": "linear", "domain": [0, 1], "range": "ramp", "zero": False},
    ]
