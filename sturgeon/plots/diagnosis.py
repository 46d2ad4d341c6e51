"""`diagnosis`: bias, variance and data mismatch of a trial's model, as the steps from one error to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sturgeon.errors import NotFound
from sturgeon.plots.specs import WIDTH, Spec, fit_width, short, single, vega_lite
from sturgeon.values import Json

ROW: Final = 48
NAMES: Final = {"train_dev": "train-dev"}


def diagnosis(diagnosis: Json, width: int | None = WIDTH) -> Spec:
    """A bar for each gap, from the one error to the other; the whisker is two standard errors to either side. The
    widest clear gap is strong: the advice is for it.

    Raises: NotFound (it is a diagnosis of another form, as own code may upload).
    """
    rows = gap_rows(diagnosis)
    content = {**single(width, ROW * 4), "height": {"step": ROW}, "layer": [_bars(), _whiskers(), _labels()]}
    if width is None:
        content["autosize"] = fit_width()
    widest = diagnosis.get("widest")
    advice = [str(line) for line in diagnosis.get("advice") or []]
    subtitle = [f"the widest gap is {short(widest, 40)}: {advice[0]}" if widest and advice else "no gap is clear"]
    return vega_lite("Where the error comes from", subtitle, {"gaps": rows}, content)


def gap_rows(diagnosis: Json) -> list[dict[str, Any]]:
    """A row for each gap: name, between, start, end, size, uncertainty, clear, widest.

    Raises: NotFound (there are no gaps in it).
    """
    gaps, errors = diagnosis.get("gaps"), diagnosis.get("errors")
    if not isinstance(gaps, list) or not isinstance(errors, Mapping):
        raise NotFound("This diagnosis has no gaps: own code has uploaded it in another form.")
    known = {"known": diagnosis.get("known_error") or 0.0, **errors}
    rows = []
    for gap in gaps:
        above, below = gap["between"]
        start = known.get(above, 0.0)
        row = {name: gap[name] for name in ("name", "size", "uncertainty", "clear")}
        row |= {"start": start, "end": start + gap["size"], "widest": gap["name"] == diagnosis.get("widest")}
        rows.append(row | {"step": f"{NAMES.get(above, above)} → {NAMES.get(below, below)}"})
    return rows


def _y() -> Spec:
    axis = {"title": None, "ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12}
    return {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": axis,
        "scale": {"paddingInner": 0.5, "paddingOuter": 0.45},
    }


def _bars() -> Spec:
    told = "{'gap': datum.name, 'between': datum.step, 'size': format(datum.size, '.2%')"
    told += ", 'standard error': format(datum.uncertainty, '.2%')}"
    axis = {"format": ".0~%", "title": "error", "tickCount": 6}
    scale = {"zero": True, "nice": True}
    return {
        "mark": {"type": "bar", "style": ["bar"], "aria": False},
        "encoding": {
            "y": _y(),
            "x": {"field": "start", "type": "quantitative", "axis": axis, "scale": scale},
            "x2": {"field": "end"},
            "opacity": {
                "condition": [{"test": "datum.widest", "value": 1}, {"test": "datum.clear", "value": 0.55}],
                "value": 0.22,
            },
            "tooltip": {"value": {"expr": told}},
        },
    }


def _whiskers() -> Spec:
    return {
        "transform": [
            {"calculate": "datum.end - 2 * datum.uncertainty", "as": "low"},
            {"calculate": "datum.end + 2 * datum.uncertainty", "as": "high"},
        ],
        "mark": {"type": "rule", "style": ["spread"], "aria": False},
        "encoding": {"y": _y(), "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
    }


def _labels() -> Spec:
    """Below each bar, where it is never cut off: between which errors it lies, and its size."""
    sign = "datum.size < 0 ? '−' : '+'"
    told = f"datum.step + ': ' + ({sign}) + format(abs(datum.size), '.2~%')"
    told += " + ' ± ' + format(2 * datum.uncertainty, '.1~%') + (datum.clear ? '' : ', unclear')"
    return {
        "transform": [{"calculate": told, "as": "told"}],
        "mark": {"type": "text", "style": ["note"], "align": "left", "dx": 2, "dy": 19, "fontSize": 11, "aria": False},
        "encoding": {
            "y": _y(),
            "x": {"value": 0},
            "text": {"field": "told", "type": "nominal"},
        },
    }
