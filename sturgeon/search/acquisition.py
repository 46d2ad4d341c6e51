"""Which candidate is most worth a trial: three acquisition functions that take turns. Less is better in each."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import erfcx, log_ndtr

from sturgeon.search.cube import Array
from sturgeon.search.posterior import FantasyPosterior
from sturgeon.search.surrogate import squared_distances

NEIGHBOURS: Final = 5
_LOG_ROOT_2PI: Final = 0.5 * math.log(2.0 * math.pi)


def lower_bound(fantasy: FantasyPosterior, points: Array) -> Array:
    """The predicted score less its standard deviation, at `points` [m, d]."""
    mean, deviation = fantasy.predict(points)
    return mean - deviation


def improvement(fantasy: FantasyPosterior, points: Array) -> Array:
    """Minus the log of the expected improvement on the best denoised score, at `points` [m, d]."""
    mean, deviation = fantasy.predict(points)
    return -log_expected_improvement(mean, deviation, float(fantasy.posterior.denoised.min()))


def neighbours_vote(fantasy: FantasyPosterior, points: Array, kappa: float) -> Array:
    """The weighted mean of the scores of the 5 nearest trials, less `kappa` times the distance to the nearest.

    At `points` [m, d]; that distance counts as 1 at most. Distances are along the stretched coordinates, and running
    trials have their predicted scores.
    """
    own = fantasy.posterior
    scale = 1.0 / own.stretch
    squares = squared_distances(own.cube.features(points, scale), own.cube.features(fantasy.points, scale))
    k = min(NEIGHBOURS, squares.shape[1])
    nearest = np.argpartition(squares, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(squares, nearest, axis=1)
    weights = 1.0 / (near + 1e-4 * float((scale * scale).mean()))
    votes = (weights * fantasy.z[nearest]).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(votes - kappa * np.minimum(np.sqrt(near.min(axis=1)), 1.0))


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """log E[max(best - Y, 0)], Y ~ Normal(mean, deviation^2), exact far in the tail (Ament et al., NeurIPS 2023)."""
    u = (best - mean) / deviation
    tail = np.minimum(u, -1.0)
    # phi(u) + u Phi(u) = phi(u) (1 + u Phi(u) / phi(u)), and Phi / phi = sqrt(pi / 2) erfcx(-u / sqrt 2).
    ratio = math.sqrt(math.pi / 2.0) * erfcx(-tail / math.sqrt(2.0)) * -tail
    # Beyond -1e4 the bracket is 1 / u^2, and its difference from 1 is lost to rounding.
    bracket = np.where(tail < -1e4, -2.0 * np.log(-tail), np.log(np.maximum(1.0 - ratio, 1e-300)))
    far = -0.5 * tail * tail - _LOG_ROOT_2PI + bracket
    middle = np.maximum(u, -1.0)
    close = np.log(np.exp(-0.5 * middle * middle - _LOG_ROOT_2PI) + middle * np.exp(log_ndtr(middle)))
    return np.asarray(np.where(u < -1.0, far, close) + np.log(deviation))
