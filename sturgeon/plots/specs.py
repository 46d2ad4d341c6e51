"""Specifications: the outermost part that all pictures share, and how data and a theme are put into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sturgeon.plots.theme import Theme, config

Spec = dict[str, Any]
"""A Vega-Lite or Vega specification, as plain JSON."""

VEGA_LITE: Final = "https://vega.github.io/schema/vega-lite/v6.json"
VEGA: Final = "https://vega.github.io/schema/vega/v6.json"

WIDTH: Final = 720
HEIGHT: Final = 320
LONGEST_TEXT: Final = 80
"""Characters of a user's text in a title; beyond them it is cut."""


def vega_lite(
    title: str,
    subtitle: Sequence[str],
    datasets: Mapping[str, Sequence[Mapping[str, Any]]],
    content: Mapping[str, Any],
    *,
    description: str | None = None,
) -> Spec:
    """A picture of `content`, which has layers or panels, on named datasets; the first is that of all marks."""
    spec: Spec = {
        "$schema": VEGA_LITE,
        "description": short(description or title, 300),
        "title": heading(title, subtitle),
    }
    spec |= {"data": {"name": next(iter(datasets))}, "datasets": {name: list(rows) for name, rows in datasets.items()}}
    return spec | dict(content)


def heading(title: str, subtitle: Sequence[str] = ()) -> Spec:
    """A title, and below it what the picture says, one line each."""
    lines = [short(line, 140) for line in subtitle if line]
    return {"text": short(title), **({"subtitle": lines} if lines else {})}


def fit_width() -> Spec:
    """As wide as its place; laid out anew with each change, since labels of axes may have become longer."""
    return {"type": "fit-x", "contains": "padding", "resize": True}


def single(width: int | None, height: int = HEIGHT) -> Spec:
    """The size of one panel: as wide as its place on a page where no width is given."""
    if width is None:
        return {"width": "container", "height": height, "autosize": fit_width()}
    return {"width": width, "height": height}


def themed(spec: Spec, theme: Theme = "light") -> Spec:
    """The picture in the colours of a theme."""
    return spec | {"config": config(theme)}


def for_page(spec: Spec) -> Spec:
    """The picture without its first dataset, which a page has and changes, and without its title. The dataset is there,
    and empty; others, such as boxes, stay."""
    bare = {key: value for key, value in spec.items() if key != "title"}
    if spec["$schema"] == VEGA_LITE:
        return bare | {"datasets": spec["datasets"] | {spec["data"]["name"]: []}}
    first, *others = spec["data"]
    return bare | {"data": [first | {"values": []}, *others]}


OF_EVERY_OBJECT: Final = {
    *("constructor", "toString", "toLocaleString", "valueOf", "hasOwnProperty", "isPrototypeOf"),
    *("propertyIsEnumerable", "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__"),
    "__lookupSetter__",
}
"""With a constant text of such a name Vega draws nothing: `Operator not defined`."""
ZERO_WIDTH_SPACE: Final = "\u200b"


def short(text: str, most: int = LONGEST_TEXT) -> str:
    """A text of a user on one line, without control characters, cut where it is too long for a picture."""
    line = "".join(c if c.isprintable() else " " for c in text)
    if line in OF_EVERY_OBJECT:
        return line + ZERO_WIDTH_SPACE  # as a title it is looked up among a plain object's keys, where these are found
    return line if len(line) <= most else line[: most - 1] + "…"


def number_text(value: float | None, digits: int = 4) -> str:
    """A number for people: 0.0123, 1.2e-05, 10,000."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 10**7:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"
