"""`beta_scale`: where the trials of a parameter near 1 lie, and where even steps would have put them (row 16)."""

from __future__ import annotations

from typing import Final

from sturgeon.errors import NotFound
from sturgeon.messages.rows import Table, TableParameter
from sturgeon.plots import axes, marks
from sturgeon.plots.scores import best_of, beyond_edge, robust, score_axis
from sturgeon.plots.slices import chosen
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, number_text, short, single, vega_lite

RUG: Final = 42
SCALED: Final = ("log", "one_minus_log", "logit")


def beta_scale(table: Table, field: str | None = None, width: int | None = WIDTH) -> Spec:
    """Scores against the first parameter with a scale, or that of `field`, on its own axis. The upper ticks are the
    values that the trials have; the lower ones as many in even steps, as a linear scale would try them.

    Raises: NotFound (no parameter has this field, or none has a scale).
    """
    parameter = _scaled(table, field)
    content = {
        "params": [marks.SELECTED, marks.names_param(table.parameters)],
        **single(width, HEIGHT),
        "layer": [
            _ticks([*_placed(table, parameter)], parameter, 6, ["accent"]),
            _note(6, "tried"),
            _ticks([*_placed(table, parameter), *_evenly(parameter)], parameter, 24, ["rule"]),
            _note(24, "evenly"),
            _points(table, parameter),
            {
                "transform": best_of(_placed(table, parameter)),
                "mark": {"type": "point", "size": 200, "style": ["best-point"], "filled": False, "aria": False},
                "encoding": {
                    "x": axes.encoding(parameter, grid=False),
                    "y": {"field": "shown", "type": "quantitative"},
                },
            },
            *beyond_edge(_placed(table, parameter), table.direction),
        ],
    }
    name = short(parameter.name)
    subtitle = [
        f"{name} from {number_text(parameter.low)} to {number_text(parameter.high)}; ticks: what was tried, and "
        "as many in even steps"
    ]
    return vega_lite(f"{short(table.objective)} by {name}, on its scale", subtitle, {"rows": table.rows}, content)


def _scaled(table: Table, field: str | None) -> TableParameter:
    if field is not None:
        return chosen(table, field)[0]
    found = [one for one in axes.searched(table.parameters) if one.scale in SCALED]
    if not found:
        raise NotFound(f"{table.study} has no parameter on a scale; one near 1 has the scale one_minus_log.")
    return next((one for one in found if one.scale == "one_minus_log"), found[0])


def _placed(table: Table, parameter: TableParameter) -> list[Spec]:
    return [marks.FINISHED_WELL, *axes.to_position(parameter), *robust("score", table.direction)]


def _evenly(parameter: TableParameter) -> list[Spec]:
    """The rows again, in even steps over the range: the value of the i-th of n, and its place on the axis."""
    low, high = parameter.low or 0.0, parameter.high or 1.0
    count = {"joinaggregate": [{"op": "count", "as": "n"}]}
    place = {"window": [{"op": "row_number", "as": "i"}]}
    even = {"calculate": f"{low!r} + (datum.i - 0.5) / datum.n * {high - low!r}", "as": "even"}
    return [
        count,
        place,
        even,
        {"calculate": axes.place_expression(parameter, "datum.even"), "as": axes.position(parameter)},
    ]


def _ticks(transform: list[Spec], parameter: TableParameter, y: int, style: list[str]) -> Spec:
    return {
        "transform": transform,
        "mark": {"type": "tick", "orient": "vertical", "size": 10, "thickness": 1.5, "style": style, "aria": False},
        "encoding": {"x": axes.encoding(parameter, grid=False), "y": {"value": y}},
    }


def _note(y: int, text: str) -> Spec:
    return {
        "transform": [{"aggregate": [{"op": "count", "as": "n"}]}],
        "mark": {"type": "text", "style": ["note"], "text": text, "aria": False}
        | {"align": "right", "dx": -8, "baseline": "middle"},
        "encoding": {"x": {"value": 0}, "y": {"value": y}},
    }


def _points(table: Table, parameter: TableParameter) -> Spec:
    y = {"field": "shown", "type": "quantitative", "axis": score_axis(short(table.objective))}
    return {
        "transform": _placed(table, parameter),
        "mark": {"type": "point", "filled": True, "size": 60, "style": ["accent"], "opacity": 0.9, "aria": False},
        "encoding": {
            "x": axes.encoding(parameter, grid=False),
            "y": y | {"scale": {"zero": False, "padding": 8, "range": [HEIGHT, RUG]}},
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }
