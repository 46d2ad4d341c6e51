"""`drift`: the error of a stream's model on each new portion, alarms, and what was changed."""

from __future__ import annotations

from typing import Any, Final

from sturgeon.messages.rows import TrialCurves
from sturgeon.plots.scores import robust, score_axis
from sturgeon.plots.specs import HEIGHT, WIDTH, Spec, single, vega_lite
from sturgeon.plots.trial_curves import ROW, as_they_came, epoch_axis, intervention_layers, intervention_rows

SHOWN: Final = {"fresh_error": "new portion", "recent_error": "mean of the last ten"}
STRIP: Final = 48
"""Pixels below the errors, for the alarms."""

TESTS: Final = {"drift_inputs": "alarm: inputs", "drift_labels": "alarm: labels", "drift_error": "alarm: error"}


def drift(trial_curves: TrialCurves, width: int | None = WIDTH) -> Spec:
    """The error on each portion before it was trained on; a triangle is an alarm, a vertical line a change."""
    data = {
        "portions": _portions(trial_curves),
        "alarms": _alarms(trial_curves),
        "interventions": intervention_rows(trial_curves.interventions),
    }
    content = {
        **single(width, HEIGHT),
        "layer": [*intervention_layers(), *_errors(bool(data["interventions"])), *_alarm_marks()],
    }
    subtitle = ["error on each portion before the model was trained on it; triangles: alarms; vertical lines: changes"]
    if not data["portions"]:
        subtitle = ["this trial has reported no fresh_error: it follows no stream"]
    return vega_lite(f"Drift of trial {trial_curves.number}", subtitle, data, content)


def _portions(found: TrialCurves) -> list[dict[str, Any]]:
    return as_they_came(
        {"series": label, "epoch": epoch, "value": value}
        for name, label in SHOWN.items()
        if name in found.metrics
        for epoch, value in zip(found.metrics[name].epochs, found.metrics[name].values, strict=True)
    )


def _alarms(found: TrialCurves) -> list[dict[str, Any]]:
    """A row for each test that raised an alarm, with its row in the strip below the errors."""
    return as_they_came(
        {"epoch": epoch, "test": label, "row": row}
        for row, (name, label) in enumerate(TESTS.items())
        if name in found.metrics
        for epoch, value in zip(found.metrics[name].epochs, found.metrics[name].values, strict=True)
        if value
    )


def _errors(is_changed: bool) -> list[Spec]:
    scale = {"zero": True, "range": [HEIGHT - STRIP, 0]}
    y: Spec = {"field": "shown", "type": "quantitative", "scale": scale, "axis": score_axis("error")}
    series: Spec = {"field": "series", "type": "nominal", "title": None}
    series["scale"] = {"domain": list(SHOWN.values()), "range": "ordinal"}
    told = "{'portion': datum.epoch, 'what': datum.series, 'error': format(datum.value, '.4~g')}"
    x = epoch_axis("portion")
    dots = {
        "transform": [{"filter": "datum.series === 'new portion'"}, *robust("value", None)],
        "mark": {"type": "point", "filled": True, "size": 26, "opacity": 0.75, "aria": False},
        "encoding": {"x": x, "y": y, "color": series | {"legend": None}, "tooltip": {"value": {"expr": told}}},
    }
    legend: Spec = {"orient": "top", "direction": "horizontal", "symbolType": "stroke"}
    legend |= {"offset": 16 + ROW if is_changed else 14}  # above the labels of changes
    widths: Spec = {"field": "series", "type": "nominal", "legend": None}
    widths["scale"] = {"domain": list(SHOWN.values()), "range": [0.8, 2.4]}
    lines = {
        "transform": robust("value", None),
        "mark": {"type": "line", "aria": False},
        "encoding": {"x": x, "y": y, "color": series | {"legend": legend}, "strokeWidth": widths},
    }
    return [lines, dots]


def _alarm_marks() -> list[Spec]:
    """A strip with a row a test; its names are on the left."""
    told = "{'portion': datum.epoch, 'what': datum.test}"
    y = {"value": {"expr": f"{HEIGHT - STRIP + 12} + datum.row * {(STRIP - 6) / len(TESTS)}"}}
    names = {"aggregate": [{"op": "count", "as": "count"}], "groupby": ["row", "test"]}
    note = {"type": "text", "style": ["note"], "align": "left", "baseline": "middle", "dx": 4, "fontSize": 11}
    return [
        {
            "data": {"name": "alarms"},
            "mark": {"type": "point", "shape": "triangle-up", "size": 70, "style": ["alarm"], "filled": True}
            | {"aria": False, "opacity": 1},
            "encoding": {
                "x": {"field": "epoch", "type": "quantitative"},
                "y": y,
                "tooltip": {"value": {"expr": told}},
            },
        },
        {
            "data": {"name": "alarms"},
            "transform": [names],
            "mark": note | {"aria": False},
            "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "test", "type": "nominal"}},
        },
    ]
