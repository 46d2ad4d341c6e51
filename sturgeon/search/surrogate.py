"""The surrogate of the score: a Gaussian process with one length scale a coordinate, fitted once a round."""

from __future__ import annotations

import math
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from scipy.linalg import lapack

from sturgeon.search.cube import Array, Cube

MOST_POINTS: Final = 100
STEPS: Final = 15
_NOISE_MEAN: Final = -7.0
_NOISE_DEVIATION: Final = 1.5
_START_NOISE: Final = -6.0
_NOISE_BOUNDS: Final = (-12.0, 3.0)


class KernelParams(NamedTuple):
    """The kernel's parameters, as a fit chose them.

    `inverse` [d]: 1 / length scale of each coordinate, in widths of the cube; `noise`: noise / signal variance.
    """

    inverse: Array
    noise: float

    @property
    def relevance(self) -> Array:
        """How much each coordinate matters [d], summing to 1: the score changes fast along short length scales."""
        share: Array = self.inverse / self.inverse.sum()
        return share

    @property
    def stretch(self) -> Array:
        """The proportions of the boxes [d]: length scale / geometric mean, within 1/4 .. 4 (TuRBO, NeurIPS 2019)."""
        logs = np.log(self.inverse)
        stretch: Array = np.clip(np.exp(logs.mean() - logs), 0.25, 4.0)
        return stretch


def prior_kernel_params(dimensions: int) -> KernelParams:
    """The parameters before any trial has finished: every coordinate matters alike."""
    return KernelParams(np.full(dimensions, math.exp(_prior_mean(dimensions))), math.exp(_START_NOISE))


def matern(squares: Array) -> Array:
    """The Matern-5/2 correlation at squared scaled distances, any shape."""
    r = np.sqrt(5.0 * squares)
    polynomial: Array = squares * (5.0 / 3.0)
    polynomial += r
    polynomial += 1.0
    polynomial *= np.exp(np.negative(r, out=r), out=r)
    return polynomial


def squared_distances(a: Array, b: Array) -> Array:
    """The squared distances [m, n] between the rows of `a` [m, D] and those of `b` [n, D]."""
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
    nonnegative: Array = np.maximum(squares, 0.0, out=squares)
    return nonnegative


def fit_kernel_params(cube: Cube, points: Array, z: Array) -> KernelParams:
    """The parameters that explain `z` [n] at `points` [n, d] best: the maximum of their posterior.

    The signal variance is profiled out; log 1/l is Normal around -log(0.3 sqrt d) with deviation 1 (the sqrt d:
    Hvarfner et al., ICML 2024), log noise Normal(-7, 1.5); 15 steps of L-BFGS.
    """
    d = cube.dimensions
    if not z.any():
        return prior_kernel_params(d)
    from scipy.optimize import fmin_l_bfgs_b

    squares = cube.gaps(points[:, None, :], points[None, :, :]) ** 2
    flat = np.ascontiguousarray(squares.reshape(-1, d).T)
    mean = _prior_mean(d)
    start = np.append(np.full(d, mean), _START_NOISE)
    bounds = [(mean - 5.0, mean + 5.0)] * d + [_NOISE_BOUNDS]
    best, _, _ = fmin_l_bfgs_b(partial(_loss, flat=flat, z=z), start, bounds=bounds, maxiter=STEPS)
    return KernelParams(np.exp(best[:-1]), math.exp(best[-1]))


def _prior_mean(dimensions: int) -> float:
    return -math.log(0.3 * math.sqrt(dimensions))


def _loss(theta: Array, flat: Array, z: Array) -> tuple[float, Array]:
    """Minus the log posterior of theta = (log 1/l [d], log noise), and its gradient. `flat` [d, n n]: squared gaps.

    n/2 log s2 + sum log L_ii + the priors, s2 = z' K^-1 z / n. With W = K^-1 - a a' / s2, a = K^-1 z, the first two
    have the derivative sum(W * dK) / 2, and dK/d log(1/l_j) = 2 D_j / l_j^2 dk/d(r^2), dk/d(r^2) = -5/6 (1 + R) e^-R,
    R = sqrt 5 r.
    """
    n = len(z)
    inverse_squares, noise = np.exp(2.0 * theta[:-1]), math.exp(theta[-1])
    squares = inverse_squares @ flat
    r = np.sqrt(5.0 * squares)
    decay = np.exp(-r)
    kernel = ((1.0 + r + squares * (5.0 / 3.0)) * decay).reshape(n, n)
    kernel[np.diag_indices(n)] += noise
    lower = cholesky(kernel)
    inverse = symmetric_inverse(lower)
    a = inverse @ z
    s2 = max(float(z @ a) / n, 1e-300)
    weights = inverse - np.outer(a, a) / s2
    slope = (-5.0 / 6.0) * (1.0 + r) * decay * weights.ravel()
    gradient = np.append(inverse_squares * (flat @ slope), 0.5 * noise * np.trace(weights))
    off = theta[:-1] - _prior_mean(len(theta) - 1)
    off_noise = (theta[-1] - _NOISE_MEAN) / _NOISE_DEVIATION
    loss = 0.5 * n * math.log(s2) + float(np.log(lower.diagonal()).sum()) + 0.5 * float(off @ off) + 0.5 * off_noise**2
    gradient += np.append(off, off_noise / _NOISE_DEVIATION)
    return loss, gradient


def cholesky(matrix: Array) -> Array:
    """The lower L of `matrix` = L L' [n, n], whose diagonal is raised where rounding left it indefinite."""
    jitter = 1e-10
    lower, failed = lapack.dpotrf(matrix, lower=1, clean=1)
    while failed:
        raised = matrix.copy()
        raised[np.diag_indices(len(matrix))] += jitter
        lower, failed = lapack.dpotrf(raised, lower=1, clean=1)
        jitter *= 10.0
    return np.asarray(lower)


def triangular_inverse(lower: Array) -> Array:
    """The inverse of a lower triangle [n, n]."""
    inverse, _ = lapack.dtrtri(lower, lower=1)
    return np.asarray(inverse)


def symmetric_inverse(lower: Array) -> Array:
    """(L L')^-1 [n, n]."""
    half, _ = lapack.dpotri(lower, lower=1)
    below = np.tril(half, -1)
    return np.asarray(below + below.T + np.diag(half.diagonal()))
