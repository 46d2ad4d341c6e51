"""`durations`: how long trials were held by workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sturgeon.messages.rows import Table
from sturgeon.plots import marks
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, single, vega_lite
from sturgeon.states import TrialState

_MIN: Final = 60
_H: Final = 3600
TICKS: Final = (
    *(0.01, 0.1, 1, 2, 5, 10, 20),
    *(_MIN * minutes for minutes in (0.5, 1, 2, 5, 10, 20, 30)),
    *(_H * hours for hours in (1, 2, 5, 10, 24, 48, 100, 200, 500, 1000)),
)
"""Seconds at which the axis has labels."""

READABLE: Final = (
    "datum.value < 60 ? format(datum.value, '~g') + ' s' : datum.value < 3600 ? format(datum.value / 60, '~g') + ' min'"
    " : format(datum.value / 3600, ',~g') + ' h'"
)
LEAST_S: Final = 0.001


def durations(table: Table, width: int | None = WIDTH) -> Spec:
    """The seconds of each trial, all its attempts together, on a log axis; the line is the median of complete ones."""
    states = [state for state in marks.states_in(table.rows) if state != "queued"]
    held = [marks.COUNTED, {"filter": f"datum.seconds >= {LEAST_S}"}]
    content = {
        "params": [marks.SELECTED, marks.names_param(table.parameters)],
        **single(width, HEIGHT),
        "layer": [_points(table, held, states), *_median(held)],
    }
    subtitle = [
        "time held by workers, all attempts together; the line is the median of complete trials",
        *marks.thinned(table),
    ]
    return vega_lite("Duration of each trial", subtitle, {"rows": table.rows}, content)


def _y() -> Spec:
    axis = {"values": list(TICKS), "labelExpr": READABLE, "title": "duration", "labelOverlap": True}
    return {
        "field": "seconds",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 10},
        "axis": axis,
    }


def _points(table: Table, held: list[Spec], states: Sequence[TrialState]) -> Spec:
    total = len(table.rows)
    axis = {"grid": False, "tickMinStep": 1, "tickCount": 8, "format": ",d"}
    scale = {"zero": False, "nice": False, "padding": 8}
    selected = {"test": marks.IS_SELECTED, "value": 1}
    more = ", 'seconds': format(datum.seconds, ',.4~g'), 'worker': datum.worker"
    return {
        "transform": held,
        "mark": {"type": "point", "filled": True, "size": marks.size_of(total), "aria": False},
        "encoding": {
            "x": {"field": "number", "type": "quantitative", "title": "trial", "axis": axis, "scale": scale},
            "y": _y(),
            "color": marks.state_colour(states),
            "shape": marks.state_shape(states),
            "opacity": {"condition": selected, "value": marks.opacity_of(total)},
            "tooltip": marks.trial_tooltip(table.parameters, more),
        },
    }


def _median(held: list[Spec]) -> list[Spec]:
    median = {"aggregate": [{"op": "median", "field": "seconds", "as": "seconds"}]}
    complete = [*held, marks.FINISHED_WELL, median, {"filter": "isValid(datum.seconds)"}]
    told = "'median ' + (datum.seconds < 120 ? format(datum.seconds, '.3~g') + ' s' : datum.seconds < 7200 ? "
    told += "format(datum.seconds / 60, '.3~g') + ' min' : format(datum.seconds / 3600, ',.3~g') + ' h')"
    note = {"type": "text", "style": ["strong-note"], "align": "left", "dx": 6, "aria": False}
    return [
        {"transform": complete, "mark": {"type": "rule", "style": ["median"], "aria": False}, "encoding": {"y": _y()}},
        {
            "transform": [*complete, {"calculate": told, "as": "told"}],
            "mark": note,
            "encoding": {"y": _y(), "x": {"value": "width"}, "text": {"field": "told", "type": "nominal"}},
        },
    ]
