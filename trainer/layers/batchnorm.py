"""Batch norm between Z and A: each unit's Z is brought to mean 0 and variance 1 over the mini-batch.

Z_norm = (Z - mu) / sqrt(sigma^2 + eps); Z_tilde = gamma Z_norm + beta, with gamma and beta learned (Ioffe and
Szegedy 2015). The dense layer before it has no b, which subtracting mu would cancel. At test time, when there may be
one example only, mu and sigma^2 are averages over the batches of training.
"""

from __future__ import annotations

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array, Parameters, aligned_like, by_model

EPSILON = 1e-5
"""Added to the variance; the usual value."""


class BatchNorm:
    """Z `[*lead, B, n]`; gamma, beta, mu and variance `[*lead, 1, n]`; works in Z's memory.

    Each training batch writes its mu and variance to parameters.batch; test time reads parameters.running.
    """

    def __init__(self, Z: Array, parameters: Parameters, layer: int, *, training: bool) -> None:
        values, grads, batch, running = parameters.values, parameters.grads, parameters.batch, parameters.running
        self.gamma, self.beta = values[f"gamma{layer}"], values[f"beta{layer}"]
        self.d_gamma, self.d_beta = grads[f"gamma{layer}"], grads[f"beta{layer}"]
        self.batch_mean, self.batch_variance = batch[f"mean{layer}"], batch[f"variance{layer}"]
        self.mean, self.variance = running[f"mean{layer}"], running[f"variance{layer}"]
        self.training = training
        self.centred = aligned_like(Z)
        self.inverse, self.scale = aligned_like(self.gamma), aligned_like(self.gamma)
        # Rows apart from theta: the loops are fast on numbers that lie side by side, which these parts of theta do not.
        self.row_mean, self.row_variance, self.gain, self.shift = (aligned_like(self.gamma) for _ in range(4))
        centred, mean, variance = map(by_model, (self.centred, self.row_mean, self.row_variance))
        gain, shift, scale = map(by_model, (self.gain, self.shift, self.scale))
        self.centre_arrays = centred, mean, variance
        self.scale_arrays = centred, scale, shift
        self.sum_arrays = centred, shift, gain
        self.backward_arrays = centred, gain, shift, scale

    def forward(self, Z: Array) -> Array:
        """Z_tilde = (Z - mu) scale + beta, in Z's memory, with scale = gamma / sqrt(sigma^2 + eps)."""
        if self.training:
            centre(by_model(Z), *self.centre_arrays)
            np.copyto(self.batch_mean, self.row_mean)
            np.copyto(self.batch_variance, self.row_variance)
            np.add(self.row_variance, EPSILON, out=self.inverse)
        else:
            np.subtract(Z, self.mean, out=self.centred)
            np.add(self.variance, EPSILON, out=self.inverse)
        np.sqrt(self.inverse, out=self.inverse)
        np.divide(1, self.inverse, out=self.inverse)
        np.multiply(self.inverse, self.gamma, out=self.scale)
        np.copyto(self.shift, self.beta)
        scale_and_shift(by_model(Z), *self.scale_arrays)
        return Z

    def backward(self, dZ: Array) -> Array:
        """From d(Z_tilde) to dZ, in place.

        d_beta and d_gamma are the column sums of d(Z_tilde) and d(Z_tilde) Z_norm; then
        dZ = scale (d(Z_tilde) - d_beta / B - Z_norm d_gamma / B), because each example moves the mean and the
        variance of all.
        """
        column_sums(by_model(dZ), *self.sum_arrays)
        np.copyto(self.d_beta, self.shift)
        np.multiply(self.gain, self.inverse, out=self.d_gamma)
        share = 1 / dZ.shape[-2]
        np.multiply(self.d_gamma, self.inverse, out=self.gain)
        np.multiply(self.gain, share, out=self.gain)
        np.multiply(self.shift, share, out=self.shift)
        gradient_through_statistics(by_model(dZ), *self.backward_arrays)
        return dZ


@compiled
def centre(Z: Array, centred: Array, mean: Array, variance: Array) -> None:
    """mu and sigma^2 `[K, 1, n]` of each column of Z `[K, B, n]`; centred = Z - mu."""
    share = Z.dtype.type(1 / Z.shape[1])
    for k in range(len(Z)):
        mean[k, 0] = 0
        for i in range(Z.shape[1]):
            for j in range(Z.shape[2]):
                mean[k, 0, j] += Z[k, i, j]
        mean[k, 0] *= share
        variance[k, 0] = 0
        for i in range(Z.shape[1]):
            for j in range(Z.shape[2]):
                c = Z[k, i, j] - mean[k, 0, j]
                centred[k, i, j] = c
                variance[k, 0, j] += c * c
        variance[k, 0] *= share


@compiled
def scale_and_shift(Z: Array, centred: Array, scale: Array, beta: Array) -> None:
    """Z_tilde = centred scale + beta, into Z; rows `[K, 1, n]`."""
    for k in range(len(Z)):
        for i in range(Z.shape[1]):
            for j in range(Z.shape[2]):
                Z[k, i, j] = centred[k, i, j] * scale[k, 0, j] + beta[k, 0, j]


@compiled
def column_sums(dZ: Array, centred: Array, plain: Array, weighted: Array) -> None:
    """The sums of dZ and of dZ centred over the examples, `[K, 1, n]` each."""
    for k in range(len(dZ)):
        plain[k, 0] = 0
        weighted[k, 0] = 0
        for i in range(dZ.shape[1]):
            for j in range(dZ.shape[2]):
                plain[k, 0, j] += dZ[k, i, j]
                weighted[k, 0, j] += dZ[k, i, j] * centred[k, i, j]


@compiled
def gradient_through_statistics(dZ: Array, centred: Array, gain: Array, shift: Array, scale: Array) -> None:
    """dZ = scale (dZ - centred gain - shift); rows `[K, 1, n]`."""
    for k in range(len(dZ)):
        for i in range(dZ.shape[1]):
            for j in range(dZ.shape[2]):
                dZ[k, i, j] = (dZ[k, i, j] - centred[k, i, j] * gain[k, 0, j] - shift[k, 0, j]) * scale[k, 0, j]
