"""The marks of `parallel`: lines, axes with their labels, and brushes. They are Vega's, which we write ourselves."""

from __future__ import annotations

from typing import Final

from sturgeon.messages.rows import Table
from sturgeon.plots.marks import MOST_TOLD, trial_tooltip
from sturgeon.plots.specs import Spec

HEIGHT: Final = 340
ABSENT: Final = 26
"""Pixels below the axes where trials stand that do not have the parameter."""

FIRST: Final = "datum.axis === 0"


def line_marks(table: Table, last: int) -> list[Spec]:
    """All lines, faint, and above them those in all brushes, in the colour of the score."""
    steps = [f"'L' + ({at} * spacing) + ',' + datum.y_{at}" for at in range(last + 1)]
    path = "'M' + " + " + ".join(steps)[len("'L' + ") :]
    total = len(table.rows)
    opacity = 0.85 if total <= 100 else 0.6 if total <= 500 else 0.35
    chosen = "length(selected) && indexof(selected, datum.number) >= 0"
    tooltip = {"signal": trial_tooltip(table.parameters[:MOST_TOLD])["value"]["expr"]}
    return [
        {
            "type": "path",
            "name": "behind",
            "style": ["faint-line"],
            "interactive": False,
            "from": {"data": "lines"},
            "encode": {"update": {"path": {"signal": path}, "fill": {"value": None}}},
        },
        {
            "type": "path",
            "name": "trials",
            "from": {"data": "passing"},
            "encode": {
                "enter": {"fill": {"value": None}},
                "update": {
                    "path": {"signal": path},
                    "stroke": {"scale": "colour", "field": "shade"},
                    "strokeWidth": [{"test": chosen, "value": 2}, {"value": 1.3}],
                    "strokeOpacity": {"value": opacity},
                    "tooltip": tooltip,
                },
                "hover": {"strokeWidth": {"value": 3}, "strokeOpacity": {"value": 1}},
            },
        },
    ]


def axis_marks(last: int) -> list[Spec]:
    """Of axes 0 to `last`, which is that of the score; brushes are on top, so that one can drag them."""
    score = {"scale": "score", "orient": "right", "format": "~g", "tickCount": 5, "grid": False}
    score |= {"domain": False, "ticks": False}
    return [
        *_rules(),
        *(_mark("text", "ticks", style, _labels()) for style in ("axis-halo", "axis-label")),
        _mark("text", "titles", "axis-title", _titles(last)),
        *(_mark("text", "conditional", style, _absent()) for style in ("axis-halo", "axis-label")),
        {"type": "group", "encode": {"update": {"x": {"signal": "width"}}}, "axes": [score]},
        *(mark for at in range(last + 1) for mark in _brush(at)),
    ]


def _rules() -> list[Spec]:
    line = {**_x(), "y": {"value": 0}, "y2": {"value": HEIGHT}}
    ends = {"x": {"signal": "datum.axis * spacing - 3"}, "x2": {"signal": "datum.axis * spacing + 3"}}
    return [
        _mark("rule", "titles", "axis-line", line),
        _mark("rule", "ticks", "axis-line", ends | {"y": {"field": "y"}}),
    ]


def _x() -> Spec:
    return {"x": {"signal": "datum.axis * spacing"}}


def _labels() -> Spec:
    place = {
        **_x(),
        "dx": {"value": -6},
        "y": {"field": "y"},
        "align": {"value": "right"},
        "baseline": {"value": "middle"},
    }
    return {**place, "text": {"field": "label"}, "limit": {"signal": "max(40, spacing - 24)"}}


def _titles(last: int) -> Spec:
    """Centred above their axes, but for the outermost, which stay within the picture."""
    at_end = f"datum.axis === {last}"
    align = [{"test": FIRST, "value": "left"}, {"test": at_end, "value": "right"}, {"value": "center"}]
    aside = [{"test": FIRST, "value": -20}, {"test": at_end, "value": 36}, {"value": 0}]
    place = {**_x(), "y": {"value": -14}, "align": align, "dx": aside}
    # Those at the ends begin outside, and go half the way to the next one, which is centred.
    limit = f"datum.axis === 0 || {at_end} ? max(48, spacing / 2 + 12) : max(40, spacing - 16)"
    return {**place, "text": {"field": "title"}, "limit": {"signal": limit}}


def _absent() -> Spec:
    place = {**_x(), "y": {"value": HEIGHT + ABSENT}, "dx": {"value": -6}, "text": {"value": "not used"}}
    return {**place, "align": {"value": "right"}, "baseline": {"value": "middle"}}


def _mark(kind: str, data: str, style: str, update: Spec) -> Spec:
    return {"type": kind, "style": [style], "interactive": False, "from": {"data": data}, "encode": {"update": update}}


def _brush(at: int) -> list[Spec]:
    x = {"signal": f"{at} * spacing - 12"}
    area = {"x": x, "width": {"value": 24}, "y": {"value": -8}, "height": {"value": HEIGHT + ABSENT + 16}}
    shown = {"x": {"signal": f"{at} * spacing - 6"}, "width": {"value": 12}}
    shown |= {"y": {"signal": f"brush_{at} ? brush_{at}[0] : 0"}, "y2": {"signal": f"brush_{at} ? brush_{at}[1] : 0"}}
    shown |= {"opacity": {"signal": f"brush_{at} ? 1 : 0"}}
    return [
        {"type": "rect", "style": ["brush"], "interactive": False, "encode": {"update": shown}},
        {
            "type": "rect",
            "name": f"area_{at}",
            "encode": {"enter": {"fill": {"value": "transparent"}, "cursor": {"value": "ns-resize"}}, "update": area},
        },
    ]
