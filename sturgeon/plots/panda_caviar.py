"""`panda_caviar`: many models trained once each, and one that was steered (row 17 of the notes)."""

from __future__ import annotations

from typing import Final

from sturgeon.messages.rows import Curves, Table
from sturgeon.plots.curves import curve_rows
from sturgeon.plots.scores import score_axis
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, short, single, vega_lite

MODES: Final = ("caviar", "panda")
_MODE: Final[Spec] = {
    "lookup": "number",
    "from": {"data": {"name": "rows"}, "key": "number", "fields": ["mode", "parent"]},
}


def panda_caviar(table: Table, curves: Curves, width: int | None = WIDTH) -> Spec:
    """The curves of all trials: those of the caviar thin, those of pandas thick, from the epoch at which they go on."""
    metric = short(curves.metric)
    data = {
        "curves": list(curve_rows(curves)),
        "rows": [{"number": row["number"], "mode": row["mode"], "parent": row.get("parent")} for row in table.rows],
    }
    content = {
        **single(width, HEIGHT),
        "transform": [_MODE, {"filter": "isValid(datum.mode) && datum.value > 0"}],
        "layer": [_lines(curves, metric), _starts(curves)],
    }
    subtitle = ["thin: the caviar, trained once each; thick: pandas, which go on from the dot; log scale"]
    return vega_lite(f"{metric} of the panda and of the caviar", subtitle, data, content)


def _x(curves: Curves) -> Spec:
    scale = {"zero": False, "nice": False}
    return {"field": "epoch", "type": "quantitative", "title": curves.axis, "scale": scale} | {
        "axis": {"grid": False, "tickMinStep": 1}
    }


def _colour(*, legend: bool = True) -> Spec:
    found: Spec = {
        "field": "mode",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(MODES), "range": "ordinal"},
    }
    return found | {"legend": {"orient": "bottom", "direction": "horizontal"} if legend else None}


def _lines(curves: Curves, metric: str) -> Spec:
    is_panda = "datum.mode === 'panda'"
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 8},
        "axis": score_axis(metric),
    }
    return {
        "mark": {"type": "line", "aria": False},
        "encoding": {
            "x": _x(curves),
            "y": y,
            "detail": {"field": "number"},
            "color": _colour(),
            "strokeWidth": {"condition": {"test": is_panda, "value": 3.5}, "value": 1.2},
            "opacity": {"condition": {"test": is_panda, "value": 1}, "value": 0.6},
            "tooltip": {"value": {"expr": "{'trial': datum.number, 'mode': datum.mode}"}},
        },
    }


def _starts(curves: Curves) -> Spec:
    first = {"joinaggregate": [{"op": "min", "field": "epoch", "as": "first"}], "groupby": ["number"]}
    return {
        "transform": [first, {"filter": "datum.mode === 'panda' && datum.epoch === datum.first"}],
        "mark": {"type": "point", "filled": True, "size": 90, "aria": False},
        "encoding": {
            "x": _x(curves),
            "y": {"field": "value", "type": "quantitative"},
            "color": _colour(legend=False),
            "tooltip": {"value": {"expr": "{'trial': datum.number, 'goes on from trial': datum.parent}"}},
        },
    }
