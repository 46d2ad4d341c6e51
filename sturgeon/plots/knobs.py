"""`knobs`: the live parameters of one model over its epochs, with who changed them and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sturgeon.errors import NotFound
from sturgeon.messages.rows import Intervention, TrialCurves
from sturgeon.messages.steering import Timeline
from sturgeon.plots.specs import WIDTH, Spec, short, single, vega_lite
from sturgeon.plots.trial_curves import epoch_axis

PANEL: Final = 110
MOST_PANELS: Final = 10
AXIS: Final = {"format": ".4~g", "tickCount": 3, "minExtent": 60}
"""Labels of the same width, so that panels below each other have the same epochs below each other."""


def knobs(
    trial_curves: TrialCurves, timeline: Timeline | None = None, knob: str | None = None, width: int | None = WIDTH
) -> Spec:
    """A step line for each parameter that was changed, or that of `knob` alone; a hollow point is a change that was
    undone. timeline: it has the values that the training began with.

    Raises: NotFound (no such parameter was changed).
    """
    names = [name for name in _changed(trial_curves.interventions) if knob in (None, name)][:MOST_PANELS]
    if knob is not None and not names:
        raise NotFound(f"{short(knob)} of trial {trial_curves.number} was not changed while it trained.")
    start = timeline.start.params if timeline is not None else {}
    rows = [row for at, name in enumerate(names) for row in _rows(trial_curves, name, start, at)]
    title = f"Live parameters of trial {trial_curves.number}"
    subtitle = ["hollow: changes that were undone"] if names else ["nothing was changed while it trained"]
    if len(names) <= 1:
        panel = _panel(trial_curves, 0, names[0] if names else "value", rows)
        return vega_lite(title, subtitle, {"knobs": rows}, {**single(width, PANEL), **panel})
    panels = [
        {"width": width or WIDTH, "height": PANEL, **_panel(trial_curves, at, name, rows)}
        for at, name in enumerate(names)
    ]
    return vega_lite(title, subtitle, {"knobs": rows}, {"vconcat": panels, "spacing": 16})


def _changed(interventions: Sequence[Intervention]) -> list[str]:
    """The parameters that were changed, in the order of their first change."""
    changes = [one.change for one in interventions if isinstance(one.change, Mapping) and one.epoch is not None]
    return list(dict.fromkeys(name for change in changes for name in change))


def _rows(found: TrialCurves, name: str, start: Mapping[str, Any], panel: int) -> list[dict[str, Any]]:
    """Where the line of a parameter begins, each change, and where it ends."""
    changes = [one for one in found.interventions if one.epoch is not None and name in (one.change or {})]
    rows = [_row(one.epoch or 0.0, one.change[name], one) for one in changes]
    ends = [curve.epochs[-1] for curve in found.metrics.values() if curve.epochs]
    if name in start:
        rows = [_row(0.0, start[name]) | {"kind": "start"}, *rows]
    in_force = [row for row in rows if row["counts"]]
    last = max([*ends, *(row["epoch"] for row in rows)])
    if in_force and in_force[-1]["epoch"] < last:
        rows.append(in_force[-1] | {"epoch": last, "kind": "end"})
    return [{"panel": panel, **row} for row in rows]


def _row(epoch: float, value: Any, change: Intervention | None = None) -> dict[str, Any]:
    plain = value if isinstance(value, int | float) and not isinstance(value, bool) else short(str(value), 40)
    told: dict[str, Any] = {"epoch": epoch, "value": plain, "counts": True, "kind": "change"}
    if change is None:
        return told | {"version": None, "by": "", "reason": ""}
    told |= {"version": change.version, "by": short(change.by, 60), "reason": short(change.reason, 160)}
    return told | {"counts": change.state not in ("reverted", "superseded")}


def _x(found: TrialCurves) -> Spec:
    """All epochs that it trained, also those before a parameter's first change."""
    x = epoch_axis(found.axis)
    begins = [curve.epochs[0] for curve in found.metrics.values() if curve.epochs]
    if begins:
        x["scale"] = x["scale"] | {"domainMin": min(begins)}
    return x


def _y(name: str, rows: Sequence[Mapping[str, Any]]) -> Spec:
    """On a log axis where the values differ by more than a factor of four, as rates do."""
    values = [row["value"] for row in rows]
    title: Spec = {"title": short(name, 20)}
    if any(isinstance(value, str) for value in values):
        return {"field": "value", "type": "ordinal", "axis": {**title, "minExtent": AXIS["minExtent"]}}
    scale: Spec = {"zero": False, "padding": 6}
    if values and min(values) > 0 and max(values) > 4 * min(values):
        scale |= {"type": "log", "nice": False}
        title["values"] = sorted(set(values))
    return {"field": "value", "type": "quantitative", "scale": scale, "axis": {**AXIS, **title}}


def _panel(found: TrialCurves, panel: int, name: str, rows: Sequence[Mapping[str, Any]]) -> Spec:
    x, y = _x(found), _y(name, [row for row in rows if row["panel"] == panel])
    told = "{'version': datum.version, 'value': datum.value, 'by': datum.by, 'reason': datum.reason}"
    here = {"filter": f"datum.panel === {panel}"}
    return {
        "layer": [
            {
                "transform": [here, {"filter": "datum.counts"}],
                "mark": {"type": "line", "interpolate": "step-after", "style": ["accent"], "aria": False},
                "encoding": {"x": x, "y": y, "order": {"field": "epoch", "type": "quantitative"}},
            },
            {
                "transform": [here, {"filter": "datum.kind === 'change'"}],
                "mark": {"type": "point", "filled": True, "size": 60, "style": ["knob"], "aria": False},
                "encoding": {
                    "x": x,
                    "y": y,
                    "fillOpacity": {"condition": {"test": "datum.counts", "value": 1}, "value": 0},
                    "tooltip": {"value": {"expr": told}},
                },
            },
        ]
    }
