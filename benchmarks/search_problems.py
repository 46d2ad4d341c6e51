"""The problems of the search benchmark: a space, a score to minimise, and how good uniform random points are on it."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_trainings import TRAININGS, surrogate
from sturgeon.search.cube import Array, Cube
from sturgeon.space import Space

REFERENCE = 1_000_000
REFERENCE_OF_TABLES = 200_000

HARTMANN = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_AT = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


@dataclass
class Problem:
    """`truth` scores points of the cube [m, d] without noise; `noise` is the deviation of what a sampler sees.

    `reference` are the sorted true scores of uniform points, `least` the optimum, or the best that is known of it.
    """

    name: str
    space: Space
    truth: Callable[[Array], Array]
    noise: float = 0.0
    samples: int = REFERENCE
    least: float | None = None
    reference: Array | None = None

    def measure(self) -> None:
        """Score the uniform points, in parts so that their features fit in memory."""
        random = np.random.default_rng(2026)
        cube = Cube(self.space)
        parts = [self.truth(cube.snap(random.random((20_000, cube.dimensions)))) for _ in range(self.samples // 20_000)]
        self.reference = np.sort(np.concatenate(parts))
        if self.least is None:
            self.least = float(self.reference[0])

    def quality(self, score: float) -> float:
        """nq: -log10 of the share of uniform points at least as good; half a point where none is."""
        assert self.reference is not None
        as_good = np.searchsorted(self.reference, score, side="right")
        return -math.log10(max(float(as_good), 0.5) / len(self.reference))

    def regret(self, score: float) -> float:
        """The share of the gap between the median uniform point and the optimum that is left."""
        assert self.reference is not None
        assert self.least is not None
        return max(0.0, (score - self.least) / (float(np.median(self.reference)) - self.least))


def reals(count: int, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    return {f"x{i}": {"type": "float", "low": low, "high": high} for i in range(count)}


def space_of(parameters: Mapping[str, Any]) -> Space:
    return Space.model_validate(dict(parameters))


def branin(u: Array) -> Array:
    x, y = 15.0 * u[:, 0] - 5.0, 15.0 * u[:, 1]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5.0 / math.pi * x - 6.0
    return valley**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * np.cos(x) + 10.0


def hartmann(u: Array) -> Array:
    squares = (HARTMANN[None] * (u[:, None, :6] - HARTMANN_AT[None]) ** 2).sum(axis=2)
    return -np.exp(-squares) @ np.array([1.0, 1.2, 3.0, 3.2])


def network(u: Array) -> Array:
    """A made-up dev error: a valley of learning rate against batch size, a choice that matters, three that do not."""
    rate, width, batch, kind, keep = u[:, 0], u[:, 1], u[:, 2], np.floor(u[:, 3] * 3), u[:, 4]
    valley = 8.0 * (rate - 0.45 - 0.2 * batch) ** 2
    diverges = 4.0 * np.maximum(rate - 0.8, 0.0)
    return (
        0.05 + valley + diverges + 0.3 * (1 - width) ** 2 + np.array([0.08, 0.0, 0.15])[kind.astype(int)] + 0.05 * keep
    )


def bbob(function: int, dimensions: int) -> Problem:
    """A function of COCO's noiseless suite (Hansen et al. 2021), on [-5, 5]^d."""
    import cocoex

    suite = cocoex.Suite("bbob", "", f"dimensions:{dimensions} instance_indices:1")
    problem = suite.get_problem_by_function_dimension_instance(function, dimensions, 1)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")  # which writes the optimum to a file, and answers nothing
        optimum = np.loadtxt(next(Path().glob("*best_parameter*")))
    return Problem(
        f"bbob{function}-{dimensions}d",
        space_of(reals(dimensions, -5.0, 5.0)),
        lambda u: np.array([problem(row) for row in 10.0 * u - 5.0]),
        least=float(problem(optimum)),
    )


def synthetic() -> list[Problem]:
    settings = {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "hidden_units": {"type": "int", "low": 8, "high": 512, "scale": "log"},
        "batch_size": {"type": "choice", "values": [16, 32, 64, 128, 256, 512], "ordered": True},
        "optimizer": {"type": "choice", "values": ["adam", "momentum", "gradient_descent"]},
        "l2": {"type": "float", "low": 1e-6, "high": 1e-1, "scale": "log"},
        "keep_prob": {"type": "float", "low": 0.5, "high": 1.0},
        "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
        "patience": {"type": "int", "low": 1, "high": 20},
    }
    return [
        Problem("branin", space_of(reals(2)), branin, least=0.397887),
        Problem("branin+2 idle+noise", space_of(reals(4)), branin, noise=2.0, least=0.397887),
        Problem("hartmann6+2 idle", space_of(reals(8)), hartmann, least=-3.32237),
        Problem("hartmann6+noise", space_of(reals(6)), hartmann, noise=0.1, least=-3.32237),
        Problem("network+noise", space_of(settings), network, noise=0.01),
    ]


def tables() -> list[Problem]:
    found = []
    for name, training in TRAININGS.items():
        cube = Cube(training.space)
        found.append(Problem(name, training.space, surrogate(name, cube), samples=REFERENCE_OF_TABLES))
    return found


BBOB = [(3, 5), (6, 3), (8, 5), (10, 2), (13, 5), (15, 3), (20, 2), (21, 5)]


def suite() -> list[Problem]:
    """All problems; the real ones read the tables beside this file."""
    return synthetic() + [bbob(function, dimensions) for function, dimensions in BBOB] + tables()
