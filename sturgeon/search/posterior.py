"""What the finished trials say about any point of the cube, with the running ones taken into account."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sturgeon.search.boxes import elite_rows
from sturgeon.search.cube import Array, Cube, Indices
from sturgeon.search.surrogate import MOST_POINTS, Shape, cholesky, matern, squared_distances, triangular_inverse


@dataclass(frozen=True)
class Posterior:
    """A Gaussian process given `z` [n] at `points` [n, d].

    `denoised` [n] are the scores without their noise, z - v K^-1 z; `rows` [n] are the places in the history of
    those it rests on. `weights` [n] is K^-1 z, `root` [n, n] the inverse of the Cholesky factor of K + v I.
    """

    cube: Cube
    shape: Shape
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
        """The shape of the boxes [d]."""
        return self.shape.stretch

    @cached_property
    def elites(self) -> list[int]:
        """The few best, well separated rows of `points`."""
        return elite_rows(self.cube, self.points, self.order)


@dataclass(frozen=True)
class Outlook:
    """A posterior that also knows of q running trials, as if each had finished at its predicted score.

    So they change no prediction, only how sure it is there: that alone spreads parallel workers. `points`, `z`
    [n + q] and `root` [n + q, n + q] are of both, the running ones last.
    """

    posterior: Posterior
    points: Array
    features: Array
    z: Array
    root: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """The predicted score and its standard deviation at `points` [m, d], both [m]."""
        own = self.posterior
        kernel = matern(squared_distances(self.features, own.cube.features(points, own.shape.inverse)))
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
    spread = others[np.linspace(0, len(others) - 1, MOST_POINTS - half).round().astype(int)]
    return np.sort(np.concatenate([order[:half], spread]))


def conditioned(cube: Cube, shape: Shape, points: Array, z: Array) -> Posterior:
    """The posterior given all finished trials: `points` [n, d], `z` [n]."""
    rows = chosen_rows(z)
    points, z = points[rows], z[rows]
    features = cube.features(points, shape.inverse)
    kernel = matern(squared_distances(features, features))
    kernel[np.diag_indices(len(z))] += shape.noise
    root = triangular_inverse(cholesky(kernel))
    weights = root.T @ (root @ z)
    variance = float(z @ weights) / len(z)
    # All scores equal: nothing is known of the score's size, so the deviation counts in the units of the cube.
    return Posterior(
        cube,
        shape,
        rows,
        points,
        features,
        z,
        z - shape.noise * weights,
        weights,
        root,
        variance if variance > 0 else 1.0,
    )


def with_running(posterior: Posterior, running: Array) -> Outlook:
    """`posterior` with the points [q, d] of running trials appended, by a block of the Cholesky factor."""
    own = posterior
    if not len(running):
        return Outlook(own, own.points, own.features, own.z, own.root)
    features = own.cube.features(running, own.shape.inverse)
    across = matern(squared_distances(features, own.features))
    block = across @ own.root.T
    within = matern(squared_distances(features, features)) - block @ block.T
    within[np.diag_indices(len(running))] += own.shape.noise
    corner = triangular_inverse(cholesky(within))
    n, q = len(own.z), len(running)
    root = np.zeros((n + q, n + q))
    root[:n, :n] = own.root
    root[n:, :n] = -(corner @ block) @ own.root
    root[n:, n:] = corner
    return Outlook(
        own,
        np.concatenate([own.points, running]),
        np.concatenate([own.features, features]),
        np.concatenate([own.z, across @ own.weights]),
        root,
    )
