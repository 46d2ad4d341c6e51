"""`two_stage`: the error of a pipeline and of one network end to end, as the data grow (row 29 of the notes)."""

from __future__ import annotations

from typing import Final

from sturgeon.errors import NotFound
from sturgeon.messages.rows import Curves, Table, TableParameter
from sturgeon.plots import axes
from sturgeon.plots.curves import curve_rows
from sturgeon.plots.scores import score_axis
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, short, single, vega_lite

TICKS: Final = tuple(factor * 10**power for power in range(1, 8) for factor in (1, 3))
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [1, 3], [4, 4])
SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def two_stage(table: Table, curves: Curves, field: str | None = None, width: int | None = WIDTH) -> Spec:
    """A line for each value of a choice, the first or that of `field`: the mean of its trials at each number of
    examples, which they report as their epoch; dots are the trials.

    Raises: NotFound (no parameter has this field, or none is a choice).
    """
    choice = _choice(table, field)
    data = {
        "curves": list(curve_rows(curves)),
        "rows": [{"number": row["number"], choice.field: row.get(choice.field)} for row in table.rows],
    }
    metric = short(curves.metric)
    lookup = {
        "lookup": "number",
        "from": {"data": {"name": "rows"}, "key": "number", "fields": [choice.field]},
        "as": ["approach"],
    }
    content = {
        **single(width, HEIGHT),
        "transform": [lookup, {"filter": "isValid(datum.approach) && datum.epoch > 0"}],
        "layer": [_lines(choice, metric), _dots(choice)],
    }
    subtitle = ["lines: the mean of the trials at each number of examples; dots: each trial"]
    return vega_lite(f"{metric} as the data grow", subtitle, data, content)


def _choice(table: Table, field: str | None) -> TableParameter:
    found = [one for one in table.parameters if axes.is_choice(one) and (field is None or one.field == field)]
    if not found:
        raise NotFound(f"{table.study} has no such choice: it is between a pipeline and one network.")
    return next((one for one in found if one.kind == "choice"), found[0])


def _x() -> Spec:
    axis = {"grid": False, "labelExpr": "format(datum.value, ',~r')", "labelOverlap": True, "values": list(TICKS)}
    scale = {"type": "log", "nice": False, "padding": 8}
    return {"field": "epoch", "type": "quantitative", "title": "training examples", "scale": scale, "axis": axis}


def _by(choice: TableParameter, channel: list[object], *, legend: bool) -> Spec:
    values = (choice.values or [])[: len(DASHES)]
    scale: Spec = {"domain": values, "range": channel[: len(values)] if channel else "ordinal"}
    found: Spec = {"field": "approach", "type": "nominal", "title": None, "scale": scale}
    return found | {"legend": {"orient": "bottom", "direction": "horizontal"} if legend else None}


def _lines(choice: TableParameter, metric: str) -> Spec:
    mean = {"aggregate": [{"op": "mean", "field": "value", "as": "mean"}], "groupby": ["approach", "epoch"]}
    y = {"field": "mean", "type": "quantitative", "scale": {"zero": True}, "axis": score_axis(metric)}
    return {
        "transform": [mean],
        "mark": {"type": "line", "strokeWidth": 2.5, "aria": False},
        "encoding": {
            "x": _x(),
            "y": y,
            "color": _by(choice, [], legend=True),
            "strokeDash": _by(choice, list(DASHES), legend=True),
        },
    }


def _dots(choice: TableParameter) -> Spec:
    told = "{'trial': datum.number, 'approach': datum.approach, 'examples': datum.epoch, 'value': datum.value}"
    return {
        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.85, "aria": False},
        "encoding": {
            "x": _x(),
            "y": {"field": "value", "type": "quantitative"},
            "color": _by(choice, [], legend=False),
            "shape": _by(choice, list(SHAPES), legend=False),
            "tooltip": {"value": {"expr": told}},
        },
    }
