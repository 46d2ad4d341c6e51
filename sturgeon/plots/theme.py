"""The look of all pictures: colours with a meaning, light and dark, and the Vega configuration made of them.

The names are those of the custom properties of the page's style sheet, without their `--`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from sturgeon.states import TRIAL_STATES, TrialState

Theme = Literal["light", "dark"]

PALETTE: Final[dict[Theme, dict[str, str]]] = {
    "light": {
        "surface": "#ffffff",
        "text": "#1c2430",
        "muted": "#5a6575",
        "line": "#e3e7ed",
        "accent": "#1f62c7",
        "state-queued": "#7c8797",
        "state-running": "#1f62c7",
        "state-paused": "#7a4fc4",
        "state-complete": "#0f7564",
        "state-pruned": "#a86400",
        "state-diverged": "#b02a86",
        "state-failed": "#c22f2f",
        "state-cancelled": "#6b7280",
        "series-1": "#1f62c7",
        "series-2": "#c2571a",
        "series-3": "#0f7564",
        "series-4": "#8a3fb0",
        "series-5": "#8a6d00",
        "series-6": "#a8324a",
        "ramp-1": "#0b2f66",
        "ramp-2": "#1f6aa8",
        "ramp-3": "#5fa8c4",
        "ramp-4": "#a9cdd3",
        "ramp-5": "#d5dee3",
    },
    "dark": {
        "surface": "#151a21",
        "text": "#e7ebf1",
        "muted": "#9ba7b7",
        "line": "#2b333f",
        "accent": "#6ea8ff",
        "state-queued": "#7f8b9b",
        "state-running": "#6ea8ff",
        "state-paused": "#b39bff",
        "state-complete": "#3fc7a8",
        "state-pruned": "#e0a040",
        "state-diverged": "#ea7cc8",
        "state-failed": "#f47a74",
        "state-cancelled": "#8b95a3",
        "series-1": "#6ea8ff",
        "series-2": "#f0965a",
        "series-3": "#3fc7a8",
        "series-4": "#c58bea",
        "series-5": "#d4b84a",
        "series-6": "#f07f92",
        "ramp-1": "#ffe9a8",
        "ramp-2": "#f3b65f",
        "ramp-3": "#c9707a",
        "ramp-4": "#7b4a7c",
        "ramp-5": "#423c5e",
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
        "background": colours["surface"],
        "font": FONT,
        "padding": 8,
        "view": {"stroke": None, "continuousWidth": 720, "continuousHeight": 320},
        "axis": _axis(colours),
        "axisY": {"domain": False},
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12},
        "legend": {
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
            "state": [colours[f"state-{state}"] for state in TRIAL_STATES],
            "category": [colours[f"series-{number}"] for number in range(1, 7)],
            "score": [colours[f"ramp-{number}"] for number in range(1, 6)],
            "amount": [line, colours["ramp-3" if theme == "light" else "ramp-4"], colours["ramp-1"]],
        },
        "style": _styles(ink, muted, line, colours["surface"], colours["accent"]),
    }


def _axis(colours: dict[str, str]) -> dict[str, Any]:
    return {
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


def _styles(ink: str, muted: str, line: str, surface: str, accent: str) -> dict[str, Any]:
    """What marks of each style look like; a mark names its styles, and has no colour itself."""
    return {
        "best": {"color": ink, "strokeWidth": 2},
        "best-point": {"color": ink, "strokeWidth": 2},
        "box": {"color": accent, "fillOpacity": 0.1, "stroke": accent, "strokeOpacity": 0.55, "strokeWidth": 1},
        "bar": {"color": accent},
        "spread": {"color": ink, "strokeWidth": 1.5},
        "rule": {"color": muted, "strokeWidth": 1},
        "edge": {"color": muted, "strokeWidth": 1, "strokeDash": [2, 3]},
        "note": {"color": muted, "fontSize": 12},
        "strong-note": {"color": ink, "fontSize": 12},
        "on-bar": {"color": surface, "fontSize": 12},
        "track": {"color": line},
        "accent": {"color": accent, "strokeWidth": 2},
    }


def palette_name(state: TrialState) -> str:
    """The colour of a state, as a name in `PALETTE`."""
    return f"state-{state}"
