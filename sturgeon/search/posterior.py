"""What the finished trials say about any point of the cube, with the running ones taken into account."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from sturgeon.search.boxes import elite_rows
from sturgeon.search.cube import Array, Cube, Indices
from sturgeon.search.surrogate import MOST_POINTS, KernelParams, cholesky, matern, squared_distances, triangular_inverse


@dataclass(frozen=True)
class Posterior:
    """A Gaussian process given `z` [n] at `points` [n, d].

    `denoised` [n] are the scores without their noise, z - v K^-1 z; `rows` [n] are the places in the history of
    the trials that it rests on. `weights` [n] is K^-1 z, `root` [n, n] the inverse of the Cholesky factor of K + v I.
    """

    cube: Cube
    kernel_params: KernelParams
    rows: Indices
    points: Array
    features: Array
    z: Array
    denoised: Array
    weights: Array
    root: Array
    variance: float

    @property
    def order(self) -> Indices:
        """Best first, by the denoised score; ties in the order of finishing."""
        return np.argsort(self.denoised, kind="stable")

    @cached_property
    def stretch(self) -> Array:
        """The proportions of the boxes [d]."""
        return self.kernel_params.stretch

    @cached_property
    def elites(self) -> list[int]:
        """The few best, well separated rows of `points`."""
        return elite_rows(self.cube, self.points, self.order)


@dataclass(frozen=True)
class FantasyPosterior:
    """A posterior with fantasies: q running trials count as if each had finished at its predicted score.

    They change no prediction, only the deviation around them, and that alone spreads parallel workers. `points`
    [n + q, d], `z` [n + q] and `root` [n + q, n + q] are of finished and running trials, the running ones last.
    """

    posterior: Posterior
    points: Array
    features: Array
    z: Array
    root: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """The predicted score and its standard deviation at `points` [m, d], both [m]."""
        own = self.posterior
        kernel = matern(squared_distances(self.features, own.cube.features(points, own.kernel_params.inverse)))
        mean = own.weights @ kernel[: len(own.weights)]
        reduced = self.root @ kernel
        share = 1.0 - np.einsum("ij,ij->j", reduced, reduced)
        return mean, np.sqrt(own.variance * np.maximum(share, 1e-12))


def chosen_rows(z: Array) -> Indices:
    """The finished trials that the model rests on: all of 100, else the best 50, and 50 spread evenly over the rest."""
    if len(z) <= MOST_POINTS:
        return np.arange(len(z))
    half = MOST_POINTS // 2
    order = np.argsort(z, kind="stable")
    others = order[half:]
    rows = np.concatenate([order[:half], others[_spread(len(others))]])
    rows.sort()
    return rows


@lru_cache(maxsize=64)
def _spread(others: int) -> Indices:
    half = MOST_POINTS // 2
    return np.linspace(0, others - 1, MOST_POINTS - half).round().astype(int)


def conditioned(cube: Cube, kernel_params: KernelParams, points: Array, z: Array) -> Posterior:
    """The posterior given all finished trials: `points` [n, d], not yet snapped, `z` [n]."""
    rows = chosen_rows(z)
    points, z = cube.snap(points[rows]), z[rows]
    features = cube.features(points, kernel_params.inverse)
    kernel = matern(squared_distances(features, features))
    kernel[np.diag_indices(len(z))] += kernel_params.noise
    root = triangular_inverse(cholesky(kernel))
    weights = root.T @ (root @ z)
    variance = float(z @ weights) / len(z)
    # When all scores are equal their scale is unknown: the variance is then taken to be 1.
    return Posterior(
        cube,
        kernel_params,
        rows,
        points,
        features,
        z,
        z - kernel_params.noise * weights,
        weights,
        root,
        variance if variance > 0 else 1.0,
    )


def with_running(posterior: Posterior, running: Array) -> FantasyPosterior:
    """`posterior` with the points [q, d] of running trials appended, by a block of the Cholesky factor."""
    own = posterior
    if not len(running):
        return FantasyPosterior(own, own.points, own.features, own.z, own.root)
    features = own.cube.features(running, own.kernel_params.inverse)
    across = matern(squared_distances(features, own.features))
    block = across @ own.root.T
    within = matern(squared_distances(features, features)) - block @ block.T
    within[np.diag_indices(len(running))] += own.kernel_params.noise
    corner = triangular_inverse(cholesky(within))
    n, q = len(own.z), len(running)
    root = np.zeros((n + q, n + q))
    root[:n, :n] = own.root
    root[n:, :n] = -(corner @ block) @ own.root
    root[n:, n:] = corner
    return FantasyPosterior(
        own,
        np.concatenate([own.points, running]),
        np.concatenate([own.features, features]),
        np.concatenate([own.z, across @ own.weights]),
        root,
    )
