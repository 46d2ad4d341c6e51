"""What is drawn: the marks of a picture as Vega lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import vl_convert

from sturgeon.plots.drawing import VEGA_LITE_VERSION
from sturgeon.plots.specs import VEGA_LITE, Spec, themed


@dataclass(frozen=True)
class Scene:
    """The marks of a picture, and the texts around them."""

    root: dict[str, Any]

    def marks(self, kind: str) -> list[list[dict[str, Any]]]:
        """The items of each mark of a kind (symbol, line, rule, ..) that shows data, the lowest layer first."""
        return [mark["items"] for mark in self._all(self.root) if mark["marktype"] == kind and mark["role"] == "mark"]

    def items(self, kind: str) -> list[dict[str, Any]]:
        """All items of these marks together."""
        return [item for items in self.marks(kind) for item in items]

    def texts(self, role: str = "") -> list[str]:
        """All texts, or those of a role such as axis-label or legend-label."""
        found = [mark for mark in self._all(self.root) if mark["marktype"] == "text"]
        return [str(item["text"]) for mark in found if role in mark["role"] for item in mark["items"] if "text" in item]

    def _all(self, mark: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "marktype" in mark:
            yield mark
        for item in mark.get("items", ()):
            if isinstance(item, dict):
                yield from self._all(item)


def scene_of(spec: Spec) -> Scene:
    """Compile a picture, and lay it out."""
    if spec["$schema"] == VEGA_LITE:
        return Scene(vl_convert.vegalite_to_scenegraph(themed(spec), vl_version=VEGA_LITE_VERSION)["scenegraph"])
    return Scene(vl_convert.vega_to_scenegraph(themed(spec))["scenegraph"])


def compiled(spec: Spec) -> dict[str, Any]:
    """The picture in Vega."""
    if spec["$schema"] != VEGA_LITE:
        return spec
    vega: dict[str, Any] = vl_convert.vegalite_to_vega(themed(spec), vl_version=VEGA_LITE_VERSION)
    return vega
