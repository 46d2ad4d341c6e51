"""`grid_against_random`: as many trials on a grid as at random, against one parameter (row 14 of the notes)."""

from __future__ import annotations

from typing import Final

from sturgeon.messages.rows import Table, TableParameter
from sturgeon.plots import axes, marks
from sturgeon.plots.scores import best_op, beyond_edge, robust, score_axis
from sturgeon.plots.slices import chosen
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, short, single, vega_lite

RUG: Final = 34
"""Pixels above the points, for the values that each way has tried."""

WAYS: Final = ("grid", "random")
_WAY: Final[Spec] = {"calculate": "isValid(datum.sampler) && datum.sampler !== 'grid' ? 'random' : 'grid'", "as": "way"}


def grid_against_random(table: Table, field: str | None = None, width: int | None = WIDTH) -> Spec:
    """Trials of a grid, which people gave or the sampler `grid` drew, and those that were drawn. Ticks above the points
    are the values that each way has tried: of a grid they are few.

    Raises: NotFound (no parameter has this field, or none varies).
    """
    parameter = chosen(table, field)[0]
    content = {
        "params": [marks.SELECTED, marks.names_param(table.parameters)],
        **single(width, HEIGHT),
        "layer": [
            *(_ticks(table, parameter, way, 6 + 14 * row) for row, way in enumerate(WAYS)),
            _points(table, parameter),
            _best(table, parameter),
            *beyond_edge(_placed(table, parameter), table.direction),
        ],
    }
    title = f"{short(table.objective)} by {short(parameter.name)}, on a grid and at random"
    subtitle = ["ticks: the values that each has tried; rings: the best of each"]
    return vega_lite(title, subtitle, {"rows": table.rows}, content)


def _placed(table: Table, parameter: TableParameter) -> list[Spec]:
    return [marks.FINISHED_WELL, *axes.to_position(parameter), _WAY, *robust("score", table.direction)]


def _colour() -> Spec:
    scale = {"domain": list(WAYS), "range": "ordinal"}
    legend = {"orient": "bottom", "direction": "horizontal"}
    return {"field": "way", "type": "nominal", "title": None, "scale": scale, "legend": legend}


def _shape() -> Spec:
    return _colour() | {"scale": {"domain": list(WAYS), "range": ["square", "circle"]}}


def _points(table: Table, parameter: TableParameter) -> Spec:
    y = {"field": "shown", "type": "quantitative", "axis": score_axis(short(table.objective))}
    return {
        "transform": _placed(table, parameter),
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 0.9, "aria": False},
        "encoding": {
            "x": axes.encoding(parameter, grid=False),
            "y": y | {"scale": {"zero": False, "padding": 8, "range": [HEIGHT, RUG]}},
            "color": _colour(),
            "shape": _shape(),
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _ticks(table: Table, parameter: TableParameter, way: str, y: int) -> Spec:
    return {
        "transform": [*_placed(table, parameter), {"filter": f"datum.way === '{way}'"}],
        "mark": {"type": "tick", "orient": "vertical", "size": 10, "thickness": 2, "aria": False},
        "encoding": {"x": axes.encoding(parameter, grid=False), "y": {"value": y}, "color": _colour()},
    }


def _best(table: Table, parameter: TableParameter) -> Spec:
    op = best_op(table.direction)
    best = {"joinaggregate": [{"op": op, "field": "score", "as": "best_of_way"}], "groupby": ["way"]}
    return {
        "transform": [*_placed(table, parameter), best, {"filter": "datum.score === datum.best_of_way"}],
        "mark": {"type": "point", "size": 220, "style": ["best-point"], "filled": False, "aria": False},
        "encoding": {"x": axes.encoding(parameter, grid=False), "y": {"field": "shown", "type": "quantitative"}},
    }
