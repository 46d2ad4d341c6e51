"""Trials side by side, and studies: their curves in one picture, told apart by colour and dash.

Trials and studies have places from 0, in the order in which they are compared; the page's key has their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from sturgeon.plots.specs import HEIGHT, Spec, single, vega_lite

DASHES: Final = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 1], [1, 3]]
"""Of the first six; when the colours come again, each has the next dash."""

MOST: Final = 24
"""Trials or studies in one picture."""


def compared_curves(points: Sequence[Mapping[str, Any]] = (), scale: str = "linear", width: int | None = None) -> Spec:
    """A line for each trial. The dataset `curves` has a row a point: name and place of the trial, epoch, value."""
    positive = [{"filter": "datum.value > 0"}] if scale == "log" else []
    y_scale: Spec = {"type": "log", "nice": False} if scale == "log" else {"zero": False}
    x = {
        "field": "epoch",
        "type": "quantitative",
        "title": "epoch",
        "axis": {"grid": False, "tickMinStep": 1, "tickCount": 10},
    }
    content = {
        **single(width, HEIGHT),
        "transform": positive,
        "mark": {"type": "line", "strokeWidth": 2, "aria": False},
        "encoding": {
            "x": x | {"scale": {"zero": False, "nice": False}},
            "y": {"field": "value", "type": "quantitative", "title": None, "scale": y_scale},
            **_told_apart(),
            "tooltip": {"value": {"expr": "{'': datum.name}"}},
        },
    }
    return vega_lite("Curves side by side", [], {"curves": points}, content)


def compared_studies(
    rows: Sequence[Mapping[str, Any]] = (), along: Literal["trial", "time"] = "trial", width: int | None = None
) -> Spec:
    """The best score so far of each study, along the trials that have ended, or the hours since its first one began.

    The dataset `rows` has the rows of all studies, each with name and place of its study, less (whether less is better)
    and hours (from the study's beginning to the trial's end).
    """
    ended = {"filter": "datum.state === 'complete' && !datum.invalid && isValid(datum.score) && isValid(datum.hours)"}
    order = [{"field": "hours"}, {"field": "number"}]
    x: Spec = {"field": "hours" if along == "time" else "ended", "type": "quantitative"}
    x |= {"title": "hours" if along == "time" else "complete trials", "scale": {"nice": False}}
    x["axis"] = {"grid": False, "tickMinStep": 0 if along == "time" else 1, "tickCount": 10}
    content = {
        **single(width, HEIGHT),
        "transform": [
            ended,
            {"calculate": "datum.less ? datum.score : -datum.score", "as": "cost"},
            {
                "window": [{"op": "min", "field": "cost", "as": "least"}, {"op": "count", "as": "ended"}],
                "sort": order,
                "frame": [None, 0],
                "groupby": ["place"],
            },
            {"calculate": "datum.less ? datum.least : -datum.least", "as": "best"},
        ],
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "aria": False},
        "encoding": {
            "x": x,
            "y": {"field": "best", "type": "quantitative", "title": "best so far", "scale": {"zero": False}},
            **_told_apart(),
            "tooltip": {"value": {"expr": "{'': datum.name}"}},
        },
    }
    return vega_lite("Best so far, side by side", [], {"rows": rows}, content)


def _told_apart() -> Spec:
    """Colour and dash by place; the page has the key, with names. Two trials of one colour have other dashes."""
    places = list(range(MOST))
    by_place: Spec = {"field": "place", "type": "ordinal", "legend": None}
    return {
        "detail": {"field": "place"},
        "color": by_place | {"scale": {"domain": places, "range": "ordinal"}},
        "strokeDash": by_place | {"scale": {"domain": places, "range": [dash_of(place) for place in places]}},
    }


def dash_of(place: int) -> list[int]:
    """The dash of the trial or study at this place, lengths of line and gap in pixels."""
    return DASHES[(place + place // len(DASHES)) % len(DASHES)]
