"""`trial_curves`: all metrics of one trial, and where it was changed while it trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sturgeon.errors import NotFound
from sturgeon.messages.rows import Intervention, TrialCurves
from sturgeon.plots.scores import robust, score_axis
from sturgeon.plots.specs import WIDTH, Spec, short, single, vega_lite

PANEL: Final = 200
ALONE: Final = 280
MOST_PANELS: Final = 8
ROW, LABEL = 11, 26
"""Height of a row of labels, and how wide one is at most, in pixels."""
PARTS: Final = re.compile(
    r"^(train|training|dev|val|valid|validation|test|train_dev|fresh|recent|adapted)([_/.\- ])(?=.)",
    re.IGNORECASE,
)
"""Metrics that differ in the part of the data alone are drawn together."""

OTHER_PICTURES: Final = re.compile(r"gradient_norm_\d+|drift\w*|seconds|epoch|label_share_\d+|input_\w+")


def trial_curves(trial_curves: TrialCurves, metric: str | None = None, width: int | None = WIDTH) -> Spec:
    """A panel for each group of metrics, as train_error and dev_error, or only the one with `metric`; the vertical
    lines are changes made while it trained, dashed if they were undone.

    Raises: NotFound (it reported no such metric).
    """
    groups = metric_groups(trial_curves)
    if metric is not None:
        groups = {name: members for name, members in groups.items() if metric in members}
        if not groups:
            raise NotFound(f"Trial {trial_curves.number} reported no metric {short(metric)}.")
    shown = dict(list(groups.items())[:MOST_PANELS])
    rows = as_they_came(_rows(trial_curves, shown))
    data = {"curves": rows, "interventions": intervention_rows(trial_curves.interventions)}
    title = f"Trial {trial_curves.number} while training"
    if metric is not None or len(shown) <= 1:
        name, members = next(iter(shown.items()), (trial_curves.objective, [trial_curves.objective]))
        panel = {**single(width, ALONE), "layer": _layers(trial_curves, 0, name, members)}
        return vega_lite(title, _subtitle(trial_curves), data, panel)
    size = ((width or WIDTH) - 70) // 2
    panels = [
        {"width": size, "height": PANEL, "layer": _layers(trial_curves, at, name, members)}
        for at, (name, members) in enumerate(shown.items())
    ]
    separate = {"scale": {"color": "independent", "strokeDash": "independent"}}
    content = {"concat": panels, "columns": 2, "spacing": 28, "resolve": separate}
    return vega_lite(title, _subtitle(trial_curves), data, content)


def metric_groups(found: TrialCurves) -> dict[str, list[str]]:
    """Metrics by what they have in common; that of the study first."""
    groups: dict[str, list[str]] = {}
    for name in sorted(found.metrics, key=lambda name: (name != found.objective, name)):
        if OTHER_PICTURES.fullmatch(name) is None or name == found.objective:
            groups.setdefault(PARTS.sub("", name), []).append(name)
    first = PARTS.sub("", found.objective)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (name != first, name))}


def intervention_rows(interventions: Sequence[Intervention]) -> list[dict[str, Any]]:
    """A row for each change that counted at some epoch, with what it was as short text."""
    return [
        {
            "epoch": one.epoch,
            "version": one.version,
            "kind": one.kind,
            "state": one.state,
            "by": short(one.by, 60),
            "reason": short(one.reason, 160),
            "change": short(change_text(one.change), 120),
        }
        for one in interventions
        if one.epoch is not None
    ]


def change_text(change: Any) -> str:
    """A change in words: learning_rate = 0.01, momentum = 0.9."""
    if not isinstance(change, Mapping):
        return "" if change is None else str(change)
    return ", ".join(
        f"{name} = {value:.5g}" if isinstance(value, float) else f"{name} = {value}" for name, value in change.items()
    )


def _subtitle(found: TrialCurves) -> list[str]:
    return ["vertical lines: changes made while it trained, dashed if they were undone"] if found.interventions else []


def as_they_came(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of several curves by their epochs: what a trial reports next comes after all others."""
    return sorted(rows, key=lambda row: row["epoch"])


def _rows(found: TrialCurves, shown: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for panel, members in enumerate(shown.values()):
        for name in members:
            curve = found.metrics[name]
            for epoch, value in zip(curve.epochs, curve.values, strict=True):
                yield {"panel": panel, "metric": short(name, 40), "epoch": epoch, "value": value}


def _layers(found: TrialCurves, panel: int, name: str, members: Sequence[str]) -> list[Spec]:
    names = [short(member, 40) for member in members]
    x = epoch_axis(found.axis)
    y: Spec = {"field": "shown", "type": "quantitative", "scale": {"zero": False}}
    series: Spec = {"field": "metric", "type": "nominal", "title": None}
    series["scale"] = {"domain": names, "range": "ordinal"}
    legend = {"orient": "top", "direction": "horizontal", "offset": 16 + ROW if found.interventions else 4}
    series["legend"] = legend | {"symbolType": "stroke", "columns": 3} if len(names) > 1 else None
    dashes = [[1, 0], [5, 3], [2, 2], [8, 2, 2, 2], [1, 3], [12, 3]]
    told = "{'metric': datum.metric, 'epoch': datum.epoch, 'value': format(datum.value, '.5~g')}"
    line = {
        "transform": [{"filter": f"datum.panel === {panel}"}, *robust("value", None)],
        "mark": {"type": "line", "strokeWidth": 1.8, "point": len_of(found, members) < 2, "aria": False},
        "encoding": {
            "x": x,
            "y": y | {"axis": score_axis(short(name))},
            "color": series,
            "strokeDash": series | {"scale": {"domain": names, "range": dashes}},
            "tooltip": {"value": {"expr": told}},
        },
    }
    return [*intervention_layers(), line]


def len_of(found: TrialCurves, members: Sequence[str]) -> int:
    """Points of the longest of these metrics; a line of one point would not be seen."""
    return max((len(found.metrics[one].epochs) for one in members if one in found.metrics), default=0)


def epoch_axis(axis: str) -> Spec:
    """Epochs or steps, to which all curves of a trial belong."""
    scale = {"zero": False, "nice": False}
    return {"field": "epoch", "type": "quantitative", "title": axis, "scale": scale} | {
        "axis": {"grid": False, "tickMinStep": 1, "tickCount": 6, "format": "~s"}
    }


def intervention_layers() -> list[Spec]:
    """A vertical line for each change, with its version on top: in two rows, so that near ones do not cover each other.
    Where the last one in its row is as near, a change has its line alone."""
    told = "{'version': datum.version, 'what': datum.kind, 'change': datum.change, 'by': datum.by"
    told += ", 'reason': datum.reason, 'now': datum.state}"
    x = {"field": "epoch", "type": "quantitative"}
    before = {
        "window": [{"op": "lag", "param": 2, "field": "epoch", "as": "before"}, {"op": "row_number", "as": "place"}]
    }
    covered = f"isValid(datum.before) && scale('x', datum.epoch) - scale('x', datum.before) < {LABEL}"
    undone = {"test": "datum.state === 'reverted' || datum.state === 'superseded'", "value": [2, 3]}
    return [
        {
            "data": {"name": "interventions"},
            "mark": {"type": "rule", "style": ["change"], "aria": False},
            "encoding": {
                "x": x,
                "strokeDash": {"condition": undone, "value": [1, 0]},
                "tooltip": {"value": {"expr": told}},
            },
        },
        {
            "data": {"name": "interventions"},
            "transform": [
                {"calculate": "'v' + datum.version", "as": "label"},
                before | {"sort": [{"field": "epoch"}, {"field": "version"}]},
            ],
            "mark": {"type": "text", "style": ["change-note"], "baseline": "bottom", "dy": -2, "aria": False},
            "encoding": {
                "x": x,
                "y": {"value": {"expr": f"datum.place % 2 ? 0 : -{ROW}"}},
                "text": {"field": "label", "type": "nominal"},
                "opacity": {"condition": {"test": covered, "value": 0}, "value": 1},
            },
        },
    ]
