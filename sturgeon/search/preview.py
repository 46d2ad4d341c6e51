"""A preview of a space, before compute is spent on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from sturgeon.messages import ParameterPreview, Preview
from sturgeon.search.random import random_search
from sturgeon.search.samplers import History, Point
from sturgeon.space import Choice, Fixed, Float, Int, Space

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
FEW: Final = 20


def preview(space: Space, seed: int, examples: int) -> Preview:
    """Exact quantiles of each parameter on its scale, shares of each value of a choice or a short int, and examples.

    The examples are what random search draws for the first trials of a study with this seed.
    """
    points: list[Point] = []
    for number in range(examples):
        points.append(random_search(space, seed, number, History((), (), tuple(points))).point)
    drawn = [space.decode(point) for point in points]
    return Preview(parameters={name: _parameter(space[name]) for name in space}, examples=drawn)


def _parameter(parameter: Float | Int | Choice | Fixed) -> ParameterPreview:
    if isinstance(parameter, Fixed):
        return ParameterPreview(shares=dict.fromkeys(_labels([parameter.value]), 1.0))
    if isinstance(parameter, Choice):
        return ParameterPreview(shares=dict.fromkeys(_labels(parameter.values), 1 / len(parameter.values)))
    quantiles = {f"{q:g}": float(parameter.decode(q)) for q in QUANTILES}
    shares = None
    if isinstance(parameter, Int) and (parameter.high - parameter.low) // parameter.step < FEW:
        values = range(parameter.low, parameter.high + 1, parameter.step)
        shares = {str(v): parameter.share(v) for v in values}
    return ParameterPreview(quantiles=quantiles, shares=shares)


def _labels(values: Sequence[object]) -> list[str]:
    """Strings as they are, unless two labels would be equal: then all values as JSON."""
    labels = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return labels if len(set(labels)) == len(labels) else [json.dumps(value) for value in values]
