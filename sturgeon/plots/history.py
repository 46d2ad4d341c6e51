"""`history`: the score of each trial in the order of their numbers, and the best so far."""

from __future__ import annotations

from typing import Any

from sturgeon.direction import less_is_better
from sturgeon.messages.rows import Table
from sturgeon.plots import marks
from sturgeon.plots.scores import beyond_edge, range_params, range_scale, score_axis, within_range
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, short, single, vega_lite
from sturgeon.plots.summaries import NUMBERS, NUMBERS_END, five, number_scale, steps, summarized
from sturgeon.states import TrialState

WHOLE = "datum.value % 1 ? '' : format(datum.value, ',d')"
"""An axis that is short, or has become longer, may have a tick between two trials."""
NO_SCORE = "datum.state === 'failed' || datum.state === 'cancelled' || datum.state === 'diverged'"


def history(table: Table, width: int | None = WIDTH) -> Spec:
    """All trials, and the best so far as a step line. A trial that was stopped stands, hollow, where its best report
    is; one that left no value is a sign at the edge of the worst."""
    states = marks.states_in(table.rows)
    summaries = summarized(table.rows, {"five": five("score", "so_far"), "steps": steps(table.direction), **NUMBERS})
    content: Spec = summaries | {
        "params": [
            *(marks.SELECTED, marks.names_param(table.parameters)),
            *summaries["params"],
            *range_params(table.direction),
        ],
        **single(width, HEIGHT),
        "layer": [
            _points(table, states),
            _picked(table),
            _without_value(table),
            *_best_so_far(table),
            *beyond_edge(_placed(), table.direction),
        ],
    }
    objective = short(table.objective)
    better = "less is better" if less_is_better(table.direction) else "more is better"
    subtitle = [
        f"{marks.trials_drawn(table)}; the line is the best so far; {better}; hollow: stopped early, at its best report"
    ]
    return vega_lite(
        f"{objective} of each trial", subtitle, {"rows": table.rows, "steps": _steps(table, summaries)}, content
    )


def _placed() -> list[Spec]:
    """Rows with a value: the score, or the best report of one that has none."""
    value = {"calculate": "isValid(datum.score) ? datum.score : datum.so_far", "as": "value"}
    return [marks.COUNTED, value, *within_range("value")]


def _number_axis() -> Spec:
    return {
        "field": "number",
        "type": "quantitative",
        "title": "trial",
        "scale": number_scale(),
        "axis": {"grid": False, "tickMinStep": 1, "tickCount": 8, "labelExpr": WHOLE},
    }


def _points(table: Table, states: list[TrialState]) -> Spec:
    total = len(table.rows)
    opacity = marks.opacity_of(total)
    filled = {"test": "datum.state === 'complete'", "value": opacity * 0.9}
    return {
        "transform": _placed(),
        "mark": {"type": "point", "filled": False, "size": marks.size_of(total), "strokeWidth": 1.3, "aria": False},
        "encoding": {
            "x": _number_axis(),
            "y": {"field": "shown", "type": "quantitative", "scale": range_scale(padding=10)}
            | {"axis": score_axis(short(table.objective))},
            "stroke": marks.state_colour(states),
            "fill": marks.state_colour(states),
            "fillOpacity": {"condition": [filled], "value": 0},
            "strokeOpacity": {"value": opacity},
            "shape": marks.state_shape(states),
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _picked(table: Table) -> Spec:
    return {
        "transform": [marks.PICKED, *_placed()],
        "mark": {"type": "point", "filled": False, "size": marks.size_of(len(table.rows)), "aria": False},
        "encoding": {
            "x": _number_axis(),
            "y": {"field": "shown", "type": "quantitative"},
            "color": marks.state_colour([], legend=False),
            "strokeWidth": {"value": 3},
            "shape": marks.state_shape([], legend=False),
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _without_value(table: Table) -> Spec:
    empty = "!isValid(datum.score) && !isValid(datum.so_far)"
    return {
        "transform": [marks.COUNTED, {"filter": f"{empty} && ({NO_SCORE})"}],
        "mark": {"type": "point", "filled": True, "size": 40, "opacity": 0.8, "aria": False},
        "encoding": {
            "x": _number_axis(),
            "y": {"value": 2 if less_is_better(table.direction) else "height"},
            "color": marks.state_colour([], legend=False),
            "shape": marks.state_shape([], legend=False),
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _steps(table: Table, summaries: Spec) -> list[Any]:
    """The trials that were better than all before: a dataset of their own, so that a trial that arrives leaves their
    line as it is."""
    numbers = next(one["value"] for one in summaries["params"] if one["name"] == "steps")
    return [row for row in table.rows if row["number"] in set(numbers)]


def _best_so_far(table: Table) -> list[Spec]:
    """A step line through the trials that were better than all before, on to the last, and a ring around the best."""
    complete = [marks.FINISHED_WELL, *within_range("score")]
    best = [{"filter": "datum.number === peek(steps)"}, *complete]
    shown = {"field": "shown", "type": "quantitative"}
    return [
        {
            "data": {"name": "steps"},
            "transform": complete,
            "mark": {"type": "line", "interpolate": "step-after", "style": ["best"], "aria": False},
            "encoding": {"x": _number_axis(), "y": shown, "order": {"field": "number", "type": "quantitative"}},
        },
        {
            "data": {"name": "steps"},
            "transform": best,
            "mark": {"type": "rule", "style": ["best"], "aria": False},
            "encoding": {"x": _number_axis(), "x2": {"datum": {"expr": NUMBERS_END}}, "y": shown},
        },
        {
            "data": {"name": "steps"},
            "transform": best,
            "mark": {"type": "point", "size": 180, "style": ["best-point"], "filled": False, "aria": False},
            "encoding": {"x": _number_axis(), "y": shown, "tooltip": marks.trial_tooltip(table.parameters)},
        },
    ]
