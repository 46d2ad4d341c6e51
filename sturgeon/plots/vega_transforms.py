"""Transforms and params of Vega-Lite as Vega has them, for pictures that are written in Vega."""

from __future__ import annotations

from collections.abc import Iterable

from sturgeon.plots.specs import Spec


def as_signals(params: Iterable[Spec]) -> list[Spec]:
    """Params of expressions, as signals."""
    return [{"name": one["name"], "update": one["expr"]} for one in params]


def as_vega(transforms: Iterable[Spec]) -> list[Spec]:
    """The same steps: filter and calculate by expressions."""
    return [_one(step) for step in transforms]


def _one(step: Spec) -> Spec:
    if "filter" in step:
        return {"type": "filter", "expr": step["filter"]}
    return {"type": "formula", "expr": step["calculate"], "as": step["as"]}
