"""`zoom`: how coarse to fine closes in on a region, round by round (row 15 of the notes)."""

from __future__ import annotations

from sturgeon.messages.rows import Table, TableParameter
from sturgeon.messages.searches import Rounds
from sturgeon.plots import axes, marks
from sturgeon.plots.boxes import box_rows, edges
from sturgeon.plots.pair_map import HEIGHT, pair
from sturgeon.plots.scores import best_of, robust
from sturgeon.plots.specs import WIDTH, Spec, short, single, vega_lite


def zoom(
    table: Table, rounds: Rounds | None = None, x: str | None = None, y: str | None = None, width: int | None = WIDTH
) -> Spec:
    """Trials at their values of two parameters, in the colour of the round that drew them, in the boxes of all rounds.

    Raises: NotFound (no parameter has this field, or only one varies).
    """
    across, up = pair(table, x, y)
    data = {"rows": table.rows, "boxes": box_rows(rounds, table.parameters)}
    content = {
        "params": [marks.SELECTED, marks.names_param(table.parameters)],
        **single(width, HEIGHT),
        "layer": [_boxes(across, up), _points(table, across, up), _best(table, across, up)],
    }
    subtitle = ["colour: the round; frames: the innermost boxes that it drew from; the ring is the best"]
    return vega_lite(f"{short(table.study)} closes in, round by round", subtitle, data, content)


def _colour(field: str, *, legend: bool = True) -> Spec:
    found: Spec = {"field": field, "type": "ordinal", "title": "round", "scale": {"range": "ramp", "reverse": True}}
    return found | {"legend": {"orient": "bottom", "direction": "horizontal"} if legend else None}


def _place(across: TableParameter, up: TableParameter) -> Spec:
    return {"x": axes.encoding(across), "y": axes.encoding(up)}


def _placed(table: Table, across: TableParameter, up: TableParameter) -> list[Spec]:
    return [marks.COUNTED, *axes.to_position(across), *axes.to_position(up), *robust("score", table.direction)]


def _points(table: Table, across: TableParameter, up: TableParameter) -> Spec:
    return {
        "transform": [*_placed(table, across, up), {"filter": "isValid(datum.round)"}],
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.95, "aria": False},
        "encoding": {
            **_place(across, up),
            "color": _colour("round"),
            "tooltip": marks.trial_tooltip(table.parameters, ", 'round': datum.round"),
        },
    }


def _best(table: Table, across: TableParameter, up: TableParameter) -> Spec:
    return {
        "transform": best_of([marks.FINISHED_WELL, *_placed(table, across, up)]),
        "mark": {"type": "point", "size": 260, "style": ["best-point"], "filled": False, "aria": False},
        "encoding": _place(across, up),
    }


def _boxes(across: TableParameter, up: TableParameter) -> Spec:
    """A frame for each box: its two ranges are rows that are joined by round, elite and level."""
    ends = [
        {"calculate": f"datum.field === '{one.field}' ? datum.{end} : null", "as": f"{end}_{one.field}"}
        for one in (across, up)
        for end in ("low", "high")
    ]
    joined = [{"op": "max", "field": one["as"], "as": one["as"]} for one in ends]
    place = [step for one in (across, up) for step in edges(one, f"low_{one.field}", f"high_{one.field}")]
    return {
        "data": {"name": "boxes"},
        "transform": [
            {"joinaggregate": [{"op": "max", "field": "level", "as": "innermost"}], "groupby": ["round", "elite"]},
            {"filter": "datum.level === datum.innermost"},
            *ends,
            {"aggregate": joined, "groupby": ["round", "elite", "level"]},
            *place,
        ],
        "mark": {"type": "rect", "filled": False, "strokeWidth": 1.3, "aria": False},
        "encoding": {
            "x": {**axes.encoding(across), "field": f"from_{across.field}"},
            "x2": {"field": f"to_{across.field}"},
            "y": {**axes.encoding(up), "field": f"from_{up.field}"},
            "y2": {"field": f"to_{up.field}"},
            "stroke": _colour("round", legend=False),
            "tooltip": {"value": {"expr": "{'round': datum.round, 'around trial': datum.elite}"}},
        },
    }
