"""`confusion`: which classes a trial's model takes for which."""

from __future__ import annotations

from typing import Any, Final

from sturgeon.errors import NotFound
from sturgeon.plots.specs import WIDTH, Spec, number_text, short, single, vega_lite
from sturgeon.values import Json

CELL: Final = 44
LEAST_CELL: Final = 8
MOST_NUMBERED: Final = 20
"""Classes up to which each cell has its count."""


def confusion(errors: Json, width: int | None = WIDTH) -> Spec:
    """The confusion matrix: rows are labels, columns predictions. Only mistakes are coloured, by how many they are;
    a cell without any is empty.

    Raises: NotFound (there is no matrix: too many classes, or the analysis has another form).
    """
    names, matrix = errors.get("class_names"), errors.get("confusion")
    if not isinstance(names, list) or not isinstance(matrix, list):
        raise NotFound("There is no confusion matrix: the model has too many classes, or its errors another form.")
    labels = _distinct([short(str(name), 24) for name in names])
    rows = [
        {"label": labels[i], "predicted": labels[j], "row": i, "column": j, "count": count, "right": i == j}
        | {"share": count / max(1, sum(row))}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
    ]
    content = {**_size(len(names), width), "layer": _layers(labels)}
    wrong = sum(row["count"] for row in rows if not row["right"])
    examples, part = number_text(errors.get("examples") or 0), errors.get("part", "dev")
    told = f"{number_text(wrong)} of {examples} examples of {part} are wrong"
    return vega_lite("Labels and predictions", [told], {"confusion": rows}, content)


def _size(classes: int, width: int | None) -> Spec:
    """A square; on a page as wide as its place is, with cells of the same height."""
    if width is None:
        height = {"step": max(LEAST_CELL, min(CELL, WIDTH // classes))}
        return {**single(width), "height": height}
    side = min(CELL * classes, width - 120)
    return {"width": side, "height": side}


def _distinct(names: list[str]) -> list[str]:
    """Names that have become the same when they were cut get their place behind them."""
    return [name if names.count(name) == 1 else f"{name} ({at})" for at, name in enumerate(names)]


def _place(labels: list[str]) -> dict[str, Any]:
    band = {"type": "band", "domain": labels, "paddingInner": 0.06, "paddingOuter": 0}
    axis = {
        "ticks": False,
        "domain": False,
        "grid": False,
        "labelOverlap": len(labels) > MOST_NUMBERED,
        "labelLimit": 100,
    }
    across = {**axis, "orient": "top", "title": "predicted", "labelAngle": 0 if max(map(len, labels)) <= 4 else -45}
    if max(map(len, labels)) > 4:
        across["labelAlign"] = "left"
    return {
        "x": {"field": "predicted", "type": "nominal", "scale": band, "axis": across},
        "y": {"field": "label", "type": "nominal", "scale": band, "axis": {**axis, "title": "label"}},
    }


def _layers(labels: list[str]) -> list[Spec]:
    told = "{'label': datum.label, 'predicted': datum.predicted, 'examples': datum.count"
    told += ", 'of this label': format(datum.share, '.1%')}"
    tooltip = {"value": {"expr": told}}
    place = _place(labels)
    scale = {"type": "sqrt", "range": "heatmap", "zero": True}
    colour: Spec = {"field": "count", "type": "quantitative", "scale": scale, "title": "mistakes"}
    legend = {"orient": "right", "gradientLength": 120, "tickMinStep": 1, "format": ",d", "tickCount": 4}
    colour["legend"] = legend if len(labels) > MOST_NUMBERED else None
    found: list[Spec] = [
        {
            "transform": [{"filter": "datum.right"}],
            "mark": {"type": "rect", "style": ["right"], "cornerRadius": 2, "aria": False},
            "encoding": {**place, "tooltip": tooltip},
        },
        {
            "transform": [{"filter": "!datum.right && datum.count > 0"}],
            "mark": {"type": "rect", "cornerRadius": 2, "cursor": "pointer", "aria": False},
            "encoding": {**place, "color": colour, "tooltip": tooltip},
        },
    ]
    if len(labels) <= MOST_NUMBERED:
        found += [_counts(place, "datum.right", "strong-note"), *_mistakes(place)]
    return found


def _mistakes(place: dict[str, Any]) -> list[Spec]:
    """Light numbers on dark cells, dark ones on light cells; none for 0."""
    dark = "sqrt(datum.count / datum.most) > 0.6"
    return [
        _counts(place, f"!datum.right && datum.count > 0 && {dark}", "on-bar"),
        _counts(place, f"!datum.right && datum.count > 0 && !({dark})", "strong-note"),
    ]


def _counts(place: dict[str, Any], test: str, style: str) -> Spec:
    wrong = {"calculate": "datum.right ? 0 : datum.count", "as": "wrong"}
    most = {"joinaggregate": [{"op": "max", "field": "wrong", "as": "most"}]}
    return {
        "transform": [wrong, most, {"filter": test}],
        "mark": {"type": "text", "style": [style], "aria": False},
        "encoding": {**place, "text": {"field": "count", "type": "quantitative", "format": ",d"}},
    }
