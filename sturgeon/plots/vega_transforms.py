"""Transforms of Vega-Lite as Vega has them, for pictures that are written in Vega."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sturgeon.plots.specs import Spec


def as_vega(transforms: Iterable[Spec]) -> list[Spec]:
    """The same steps: filter and calculate by expressions, joinaggregate and window over all rows."""
    return [_one(step) for step in transforms]


def _one(step: Spec) -> Spec:
    if "filter" in step:
        return {"type": "filter", "expr": step["filter"]}
    if "calculate" in step:
        return {"type": "formula", "expr": step["calculate"], "as": step["as"]}
    if "joinaggregate" in step:
        return {"type": "joinaggregate", **_columns(step["joinaggregate"])}
    sort = step["sort"]
    order = {"field": [key["field"] for key in sort], "order": [key.get("order", "ascending") for key in sort]}
    return {"type": "window", "sort": order, **_columns(step["window"])}


def _columns(columns: list[Spec]) -> dict[str, Any]:
    return {
        "ops": [column["op"] for column in columns],
        "fields": [column.get("field") for column in columns],
        "as": [column["as"] for column in columns],
    }
