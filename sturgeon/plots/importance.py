"""`importance`: which parameters change the score, and how sure that is."""

from __future__ import annotations

from typing import Final

from sturgeon.messages.searches import Importance
from sturgeon.plots.specs import WIDTH, Spec, fit_width, number_text, short, single, vega_lite

BAR: Final = 28
"""Pixels of a bar."""

MOST: Final = 30


def importance(importance: Importance, width: int | None = WIDTH) -> Spec:
    """A bar for each parameter, the most important first: its share of what changes the score, with a whisker of one
    standard deviation over the last rounds to either side."""
    rows = [{"name": short(one.name, 60), "share": one.share, "spread": one.spread} for one in importance.items[:MOST]]
    # A page fills in rows later: so that the bars have room, the height follows them.
    content = {
        **single(width, BAR * 4),
        "height": {"step": BAR},
        "transform": [
            {"calculate": "max(0, datum.share - datum.spread)", "as": "low"},
            {"calculate": "datum.share + datum.spread", "as": "high"},
            {"calculate": "format(datum.share, '.0%') + ' ± ' + format(datum.spread, '.0%')", "as": "told"},
        ],
        "layer": [_bars(), _whiskers(), _labels()],
    }
    if width is None:
        content["autosize"] = fit_width()
    results, rounds = number_text(importance.trials), importance.rounds
    subtitle = [f"share of what changes the score, from {results} results; whiskers: ± 1 standard deviation"]
    subtitle[0] += f" over {rounds} rounds" if rounds > 1 else ""
    if not rows:
        subtitle = ["nothing is known yet: the search has learnt from too few results"]
    return vega_lite("Importance of the parameters", subtitle, {"importance": rows}, content)


def _y() -> Spec:
    sort = {"field": "share", "order": "descending"}
    axis = {"title": None, "ticks": False, "domain": False, "labelPadding": 8}
    return {"field": "name", "type": "nominal", "sort": sort, "axis": axis, "scale": {"paddingInner": 0.45}}


def _bars() -> Spec:
    axis = {"format": ".0%", "title": None, "tickCount": 3, "tickMinStep": 0.01, "labelFlush": False}
    return {
        "mark": {"type": "bar", "style": ["amount-bar"], "cornerRadiusEnd": 2, "aria": False},
        "encoding": {"y": _y(), "x": {"field": "share", "type": "quantitative", "axis": axis, "stack": None}},
    }


def _whiskers() -> Spec:
    return {
        "mark": {"type": "rule", "style": ["spread"], "aria": False},
        "encoding": {"y": _y(), "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
    }


def _labels() -> Spec:
    return {
        "mark": {"type": "text", "style": ["note"], "align": "left", "dx": 8, "aria": False},
        "encoding": {
            "y": _y(),
            "x": {"field": "high", "type": "quantitative"},
            "text": {"field": "told", "type": "nominal"},
        },
    }
