"""What a trial costs, predicted from the seconds that finished trials took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sturgeon.search.cube import Array, Cube
from sturgeon.search.finished import Finished
from sturgeon.search.posterior import Posterior, conditioned
from sturgeon.search.results import Results
from sturgeon.search.scores import without_outliers
from sturgeon.search.surrogate import MOST_POINTS, fit_kernel_params, matern, squared_distances


class CostModel(NamedTuple):
    """A Gaussian process of (log seconds - `mean`) / `deviation`."""

    posterior: Posterior
    mean: float
    deviation: float

    def log_seconds(self, points: Array) -> Array:
        """The predicted log of the seconds at `points` [m, d]."""
        own = self.posterior
        features = own.cube.features(points, own.kernel_params.inverse)
        return self.mean + self.deviation * (own.weights @ matern(squared_distances(own.features, features)))


def fit_costs(cube: Cube, finished: Sequence[Finished]) -> CostModel | None:
    """The model of the last 100 finished trials whose seconds are known; None with fewer than 4, or all equal.

    A single huge or tiny time hides nothing of what the others say.
    """
    results = Results.of(finished)
    known = results.rows(np.flatnonzero((results.seconds > 0) & np.isfinite(results.seconds))[-MOST_POINTS:])
    if len(known) < 4:
        return None
    logs = without_outliers(np.log(known.seconds))
    mean, deviation = float(logs.mean()), float(logs.std())
    if deviation < 1e-6:
        return None
    points = cube.snap(known.points)
    z = (logs - mean) / deviation
    return CostModel(conditioned(cube, fit_kernel_params(cube, points, z), points, z), mean, deviation)
