"""`gradients`: the norm of each layer's gradient while a trial trains."""

from __future__ import annotations

import re
from typing import Any, Final

from sturgeon.messages.rows import TrialCurves
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, single, vega_lite
from sturgeon.plots.trial_curves import as_they_came, epoch_axis

POWERS: Final = "datum.value >= 0.01 && datum.value < 10000 ? format(datum.value, '~g') : format(datum.value, '~e')"
NAME: Final = re.compile(r"gradient_norm_(\d+)")


def gradients(trial_curves: TrialCurves, width: int | None = WIDTH) -> Spec:
    """A line a layer on a log axis: where they fan out by powers of ten, gradients vanish or explode. A norm of 0, as
    of a frozen layer, is not drawn."""
    rows = _rows(trial_curves)
    layers = max((row["layer"] for row in rows), default=1)
    content = {
        **single(width, HEIGHT),
        "transform": [{"filter": "isValid(datum.norm) && isFinite(datum.norm) && datum.norm > 0"}],
        "layer": [_lines(trial_curves.axis, layers), _labels()],
    }
    subtitle = ["log axis; where the lines fan out, gradients vanish or explode"]
    if not rows:
        subtitle = ["this trial has reported no gradient_norm_1, gradient_norm_2, .."]
    return vega_lite(
        f"Gradient norm of each layer, trial {trial_curves.number}", subtitle, {"gradients": rows}, content
    )


def _rows(found: TrialCurves) -> list[dict[str, Any]]:
    named = ((NAME.fullmatch(name), curve) for name, curve in found.metrics.items())
    return as_they_came(
        {"layer": int(match[1]), "epoch": epoch, "norm": value}
        for match, curve in named
        if match is not None
        for epoch, value in zip(curve.epochs, curve.values, strict=True)
    )


def _y() -> Spec:
    axis = {"title": "‖dW‖", "labelExpr": POWERS, "tickCount": 6}
    return {"field": "norm", "type": "quantitative", "scale": {"type": "log", "nice": True}, "axis": axis}


def _layer(layers: int) -> Spec:
    scale = {"range": "ramp", "domain": [1, 1.35 * max(2, layers)], "zero": False}
    return {"field": "layer", "type": "quantitative", "scale": scale, "legend": None}


def _lines(axis: str, layers: int) -> Spec:
    told = "{'layer': datum.layer, 'epoch': datum.epoch, 'norm': format(datum.norm, '.4~g')}"
    return {
        "mark": {"type": "line", "strokeWidth": 1.8, "aria": False},
        "encoding": {
            "x": epoch_axis(axis),
            "y": _y(),
            "detail": {"field": "layer"},
            "color": _layer(layers),
            "tooltip": {"value": {"expr": told}},
        },
    }


def _labels() -> Spec:
    """The number of each layer at the end of its line."""
    last = {"joinaggregate": [{"op": "max", "field": "epoch", "as": "last"}], "groupby": ["layer"]}
    told = {"calculate": "'layer ' + datum.layer", "as": "label"}
    return {
        "transform": [last, {"filter": "datum.epoch === datum.last"}, told],
        "mark": {"type": "text", "style": ["strong-note"], "align": "left", "dx": 6, "aria": False},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative"},
            "y": _y(),
            "text": {"field": "label", "type": "nominal"},
        },
    }
