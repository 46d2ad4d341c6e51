"""`curves`: the learning curves of many trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sturgeon.messages.rows import Curves
from sturgeon.plots import marks
from sturgeon.plots.scores import beyond_edge, range_params, range_scale, score_axis, within_range
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, number_text, short, single, vega_lite
from sturgeon.plots.summaries import five, span, summarized
from sturgeon.states import TrialState

FAINT = ("pruned", "diverged", "failed", "cancelled")


def curves(curves: Curves, scale: str = "linear", width: int | None = WIDTH) -> Spec:
    """A line for each trial; those that were stopped are faint and dashed. scale: linear, or log.

    The dataset `curves` has a row a point: number, state, epoch, value; the last of a trial has `end`.
    """
    rows = list(curve_rows(curves))
    states = marks.states_in(rows)
    metric = short(curves.metric)
    x = {"field": "epoch", "type": "quantitative", "title": curves.axis, "axis": {"grid": False, "tickMinStep": 1}}
    x["scale"] = {"zero": False, "nice": False, "domain": [{"expr": "epochs[0]"}, {"expr": "epochs[1]"}]}
    is_log = scale == "log"
    y_scale = range_scale(type="log", nice=False) if is_log else range_scale()
    positive = [{"filter": "datum.value > 0"}] if is_log else []
    summaries = summarized(rows, {"five": five("value", over=0 if is_log else None), "epochs": span("epoch", [])})
    content = summaries | {
        "params": [marks.SELECTED, *summaries["params"], *range_params(curves.direction)],
        **single(width, HEIGHT),
        "transform": [*positive, *within_range("value")],
        "layer": [
            _lines(x, {"title": metric, "scale": y_scale}, len(curves.curves), states),
            _picked(x),
            _ends(x, len(curves.curves)),
            *beyond_edge([], curves.direction, "point"),
        ],
    }
    shown = len(curves.curves)
    told = f"{number_text(shown)} trials" if shown != 1 else "1 trial"
    told += f"; {number_text(curves.left_out)} more are not drawn" if curves.left_out else ""
    return vega_lite(f"{metric} while training", [f"{told}; dashed: stopped early"], {"curves": rows}, content)


def curve_rows(curves: Curves) -> Iterator[dict[str, Any]]:
    """A row a point, in the order of the epochs."""
    for curve in curves.curves:
        last = len(curve.epochs) - 1
        for at, (epoch, value) in enumerate(zip(curve.epochs, curve.values, strict=True)):
            end = {"end": True} if at == last else {}
            yield {"number": int(curve.number), "state": curve.state, "epoch": epoch, "value": value, **end}


def _lines(x: Spec, y: Spec, total: int, states: list[TrialState]) -> Spec:
    opaque = 0.9 if total <= 30 else 0.6 if total <= 200 else 0.35
    faint = {"test": f"indexof({list(FAINT)!r}, datum.state) >= 0", "value": opaque * 0.45}
    return {
        "mark": {"type": "line", "interpolate": "linear", "aria": False},
        "encoding": {
            "x": x,
            "y": {"field": "shown", "type": "quantitative", **y, "axis": score_axis(y["title"])},
            "detail": {"field": "number"},
            "color": marks.state_colour(states),
            "strokeDash": marks.state_dash(),
            "opacity": {"condition": [faint], "value": opaque},
            "strokeWidth": {"value": 1.6 if total <= 100 else 1},
            "tooltip": {"value": {"expr": "{'trial': datum.number, 'state': datum.state}"}},
        },
    }


def _picked(x: Spec) -> Spec:
    return {
        "transform": [marks.PICKED],
        "mark": {"type": "line", "interpolate": "linear", "strokeWidth": 3, "aria": False},
        "encoding": {
            "x": x,
            "y": {"field": "shown", "type": "quantitative"},
            "detail": {"field": "number"},
            "color": marks.state_colour([], legend=False),
            "strokeDash": marks.state_dash(),
            "tooltip": {"value": {"expr": "{'trial': datum.number, 'state': datum.state}"}},
        },
    }


def _ends(x: Spec, total: int) -> Spec:
    """A sign where each curve ends, which tells states apart without colour."""
    size = 36 if total <= 100 else 14
    return {
        "transform": [{"filter": "datum.end"}],
        "mark": {"type": "point", "filled": True, "size": size, "opacity": 0.9, "aria": False},
        "encoding": {
            "x": x,
            "y": {"field": "shown", "type": "quantitative"},
            "color": marks.state_colour([], legend=False),
            "shape": marks.state_shape([], legend=False),
            "tooltip": {
                "value": {"expr": "{'trial': datum.number, 'state': datum.state, 'value': format(datum.value, '.5~g')}"}
            },
        },
    }
