"""A preview of a space, before compute is spent on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from sturgeon.messages import ParameterPreview, Preview
from sturgeon.search.feasible import feasible
from sturgeon.search.random import random_search
from sturgeon.search.samplers import History, Point
from sturgeon.space import AnyParameter, Choice, Fixed, Float, Int, Normal, Space

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
FEW: Final = 20


def preview(space: Space, seed: int, examples: int) -> Preview:
    """Exact quantiles of each parameter on its scale, shares of each value of a choice or of a number that takes
    few steps, and examples; and the share of the cube that satisfies the constraints.

    The examples are what random search draws for the first trials of a study with this seed.
    """
    points: list[Point] = []
    for number in range(examples):
        points.append(random_search(space, seed, number, History((), (), tuple(points))).point)
    drawn = [space.decode(point) for point in points]
    parameters = {name: _parameter(space[name]) for name in space}
    return Preview(parameters=parameters, examples=drawn, satisfied=feasible(space).share if space.constraints else 1.0)


def _parameter(parameter: AnyParameter) -> ParameterPreview:
    if isinstance(parameter, Fixed):
        return ParameterPreview(shares=dict.fromkeys(_labels([parameter.value]), 1.0))
    if isinstance(parameter, Choice):
        return ParameterPreview(shares=dict(zip(_labels(parameter.values), parameter.shares, strict=True)))
    quantiles = {f"{q:g}": float(parameter.decode(q)) for q in QUANTILES}
    shares = dict(_shares(parameter)) if parameter.cells <= FEW else None
    return ParameterPreview(quantiles=quantiles, shares=shares)


def _shares(parameter: Float | Int | Normal) -> Iterator[tuple[str, float]]:
    """Each value of a number that goes in steps, with the share of the unit interval that decodes to it."""
    if isinstance(parameter, Int | Float):
        for value in parameter.steps():
            yield str(value), parameter.share(value)
    elif parameter.edges is not None:
        for low, high in pairwise(parameter.edges):
            yield str(parameter.decode((low + high) / 2)), high - low


def _labels(values: Sequence[object]) -> list[str]:
    """Strings as they are, unless two labels would be equal: then all values as JSON."""
    labels = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return labels if len(set(labels)) == len(labels) else [json.dumps(value) for value in values]
