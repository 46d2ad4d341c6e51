"""The look of all pictures: colours with a meaning, light and dark, and the Vega configuration made of them.

Colours that the page's style sheet has, too, have the names of its custom properties, without their `--`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from sturgeon.states import TRIAL_STATES, TrialState

Theme = Literal["light", "dark"]

PALETTE: Final[dict[Theme, dict[str, str]]] = {
    "light": {
        "background": "#fbfcfc",
        "text": "#17262a",
        "muted": "#536469",
        "line": "#d9e2e3",
        "accent": "#0f7285",
        "state-queued": "#6b7a7e",
        "state-running": "#0a67b3",
        "state-paused": "#6a55b8",
        "state-complete": "#1d7a4f",
        "state-pruned": "#a76a00",
        "state-diverged": "#a2338f",
        "state-failed": "#c4302b",
        "state-cancelled": "#6b7a7e",
        "series-1": "#0f7285",
        "series-2": "#b8561b",
        "series-3": "#6a55b8",
        "series-4": "#7c7a12",
        "series-5": "#a2338f",
        "series-6": "#4a6b8a",
        "ramp-1": "#0b3a4a",
        "ramp-2": "#11708a",
        "ramp-3": "#4fa3b0",
        "ramp-4": "#93bfc5",
        "ramp-5": "#c0d0d2",
    },
    "dark": {
        "background": "#10181a",
        "text": "#e4ecec",
        "muted": "#9fb1b5",
        "line": "#2a393d",
        "accent": "#55c3d6",
        "state-queued": "#8d9da1",
        "state-running": "#5fb2f0",
        "state-paused": "#a99bf0",
        "state-complete": "#5cc492",
        "state-pruned": "#e0a63c",
        "state-diverged": "#e07fcf",
        "state-failed": "#f2776f",
        "state-cancelled": "#8d9da1",
        "series-1": "#55c3d6",
        "series-2": "#f0a05a",
        "series-3": "#a99bf0",
        "series-4": "#cfc25a",
        "series-5": "#e07fcf",
        "series-6": "#8fb4d8",
        "ramp-1": "#fff3c4",
        "ramp-2": "#8fd9c8",
        "ramp-3": "#3f9fb0",
        "ramp-4": "#2f6472",
        "ramp-5": "#2b434a",
    },
}
"""Ramps begin with the best."""

SHAPES: Final[dict[TrialState, str]] = {
    "queued": "square",
    "running": "diamond",
    "paused": "M-0.8,-0.8L-0.3,-0.8L-0.3,0.8L-0.8,0.8ZM0.3,-0.8L0.8,-0.8L0.8,0.8L0.3,0.8Z",
    "complete": "circle",
    "pruned": "triangle-down",
    "diverged": "triangle-up",
    "failed": "M-0.8,-0.55L-0.55,-0.8L0,-0.25L0.55,-0.8L0.8,-0.55L0.25,0L0.8,0.55L0.55,0.8L0,0.25L-0.55,0.8L-0.8,0.55"
    "L-0.25,0Z",
    "cancelled": "M-0.9,-0.2L0.9,-0.2L0.9,0.2L-0.9,0.2Z",
}
"""The sign of each state beside its colour."""

DASHES: Final[dict[TrialState, list[int]]] = {
    "queued": [1, 3],
    "running": [6, 2],
    "paused": [6, 2, 1, 2],
    "complete": [1, 0],
    "pruned": [3, 2],
    "diverged": [1, 2],
    "failed": [1, 2],
    "cancelled": [1, 3],
}

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"


def config(theme: Theme = "light") -> dict[str, Any]:
    """The Vega configuration of a theme; it holds for Vega-Lite and for Vega."""
    colours = PALETTE[theme]
    ink, muted, line = colours["text"], colours["muted"], colours["line"]
    return {
        "background": colours["background"],
        "font": FONT,
        "padding": 8,
        "view": {"stroke": None, "continuousWidth": 720, "continuousHeight": 320},
        "axis": _axis(colours),
        "axisY": {"domain": False},
        "text": {"font": FONT},
        "header": {
            "labelFont": FONT,
            "titleFont": FONT,
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 12,
        },
        "legend": {
            "labelFont": FONT,
            "titleFont": FONT,
            "labelColor": ink,
            "titleColor": muted,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "symbolSize": 70,
            "symbolStrokeWidth": 1.5,
            "labelLimit": 240,
        },
        "title": {
            "font": FONT,
            "subtitleFont": FONT,
            "color": ink,
            "subtitleColor": muted,
            "fontSize": 15,
            "fontWeight": 600,
            "subtitleFontSize": 12,
            "anchor": "start",
            "frame": "group",
            "offset": 12,
            "subtitlePadding": 4,
            "limit": 680,
        },
        "range": {
            "category": [colours[f"state-{state}"] for state in TRIAL_STATES],
            "ordinal": [colours[f"series-{number}"] for number in range(1, 7)],
            "ramp": {"scheme": [colours[f"ramp-{number}"] for number in range(1, 6)]},
            "heatmap": {"scheme": [line, colours["ramp-3"], colours["ramp-1"]]},
        },
        "style": _styles(colours),
    }


def _axis(colours: dict[str, str]) -> dict[str, Any]:
    return {
        "labelFont": FONT,
        "titleFont": FONT,
        "labelColor": colours["muted"],
        "titleColor": colours["text"],
        "gridColor": colours["line"],
        "domainColor": colours["muted"],
        "tickColor": colours["muted"],
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "titleLimit": 320,
        "labelLimit": 220,
        "labelPadding": 4,
        "tickSize": 4,
        "gridDash": [],
    }


def _styles(colours: dict[str, str]) -> dict[str, Any]:
    """What marks of each style look like; a mark names its styles, and has no colour itself."""
    ink, muted, line, background, accent = (colours[name] for name in ("text", "muted", "line", "background", "accent"))
    return {
        "best": {"color": ink, "strokeWidth": 2},
        "best-point": {"color": ink, "strokeWidth": 2},
        "box": {"color": accent, "fillOpacity": 0.1, "stroke": accent, "strokeOpacity": 0.55, "strokeWidth": 1},
        "box-now": {"color": accent, "fillOpacity": 0.025},
        "bar": {"color": accent},
        "spread": {"color": ink, "strokeWidth": 1.5},
        "rule": {"color": muted, "strokeWidth": 1},
        "median": {"color": ink, "strokeWidth": 1.2, "strokeDash": [6, 3]},
        "edge": {"color": muted, "strokeWidth": 1, "strokeDash": [2, 3]},
        "note": {"color": muted, "fontSize": 12},
        "strong-note": {"color": ink, "fontSize": 12},
        "on-bar": {"color": background, "fontSize": 12},
        "right": {"color": accent, "fillOpacity": 0.22},
        "change": {"color": muted, "strokeWidth": 1.2},
        "change-note": {"color": muted, "fontSize": 11},
        "knob": {"color": accent, "stroke": accent, "strokeWidth": 1.5, "opacity": 1},
        "alarm": {"color": colours["state-diverged"]},
        "faint-line": {"stroke": muted, "strokeOpacity": 0.12, "strokeWidth": 1},
        "axis-line": {"stroke": muted, "strokeWidth": 1},
        "axis-label": {"fill": ink, "fontSize": 11, "stroke": None},
        "axis-halo": {
            "fill": background,
            "stroke": background,
            "strokeWidth": 4,
            "strokeJoin": "round",
            "fontSize": 11,
        },
        "axis-title": {"fill": ink, "fontSize": 12, "fontWeight": 600},
        "brush": {"fill": accent, "fillOpacity": 0.22, "stroke": accent, "strokeWidth": 1},
        "track": {"color": line},
        "accent": {"color": accent, "strokeWidth": 2},
    }


def palette_name(state: TrialState) -> str:
    """The colour of a state, as a name in `PALETTE`."""
    return f"state-{state}"
