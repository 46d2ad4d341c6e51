"""Batch norm between Z and A: each unit's Z is brought to mean 0 and variance 1 over the mini-batch.

Z_norm = (Z - mu) / sqrt(sigma^2 + eps); Z_tilde = gamma Z_norm + beta, with gamma and beta learned (Ioffe and
Szegedy 2015). The dense layer in front has no b: the mean would take it away. At test time, when there may be
one example only, mu and sigma^2 are averages over the batches of training.
"""

from __future__ import annotations

import numpy as np

from trainer.parameters import Array, Parameters

EPSILON = 1e-5
"""Added to the variance, as everywhere since the paper."""


class BatchNorm:
    """Z `[*lead, B, n]`; gamma, beta, mu and variance `[*lead, 1, n]`; works in Z's memory.

    Each training batch leaves its mu and variance in parameters.batch; those of test time are in
    parameters.running.
    """

    def __init__(self, Z: Array, parameters: Parameters, layer: int, *, training: bool) -> None:
        gamma, beta, mean, variance = f"gamma{layer}", f"beta{layer}", f"mean{layer}", f"variance{layer}"
        self.gamma, self.beta = parameters.values[gamma], parameters.values[beta]
        self.d_gamma, self.d_beta = parameters.grads[gamma], parameters.grads[beta]
        self.batch_mean, self.batch_variance = parameters.batch[mean], parameters.batch[variance]
        self.mean, self.variance = parameters.running[mean], parameters.running[variance]
        self.training = training
        batch = Z.shape[-2]
        self.centred = np.empty_like(Z)
        self.scratch = np.empty_like(Z)
        self.mean_row = np.full((1, batch), 1 / batch, Z.dtype)
        self.ones = np.ones((1, batch), Z.dtype)
        self.inverse, self.scale, self.row = (np.empty_like(self.gamma) for _ in range(3))

    def forward(self, Z: Array) -> Array:
        """Z_tilde = (Z - mu) scale + beta, in Z's memory, with scale = gamma / sqrt(sigma^2 + eps)."""
        if self.training:
            np.matmul(self.mean_row, Z, out=self.batch_mean)
            np.subtract(Z, self.batch_mean, out=self.centred)
            np.multiply(self.centred, self.centred, out=self.scratch)
            np.matmul(self.mean_row, self.scratch, out=self.batch_variance)
            np.add(self.batch_variance, EPSILON, out=self.inverse)
        else:
            np.subtract(Z, self.mean, out=self.centred)
            np.add(self.variance, EPSILON, out=self.inverse)
        np.sqrt(self.inverse, out=self.inverse)
        np.divide(1, self.inverse, out=self.inverse)
        np.multiply(self.inverse, self.gamma, out=self.scale)
        np.multiply(self.centred, self.scale, out=Z)
        return np.add(Z, self.beta, out=Z)

    def backward(self, dZ: Array) -> Array:
        """From d(Z_tilde) to dZ, in place.

        d_beta and d_gamma are the column sums of d(Z_tilde) and d(Z_tilde) Z_norm; then
        dZ = scale (d(Z_tilde) - d_beta / B - Z_norm d_gamma / B), because each example moves the mean and the
        variance of all.
        """
        np.multiply(dZ, self.centred, out=self.scratch)
        np.matmul(self.ones, self.scratch, out=self.d_gamma)
        np.multiply(self.d_gamma, self.inverse, out=self.d_gamma)
        np.matmul(self.ones, dZ, out=self.d_beta)
        share = 1 / dZ.shape[-2]
        np.multiply(self.d_gamma, self.inverse, out=self.row)
        np.multiply(self.row, share, out=self.row)
        np.multiply(self.centred, self.row, out=self.scratch)
        np.subtract(dZ, self.scratch, out=dZ)
        np.multiply(self.d_beta, share, out=self.row)
        np.subtract(dZ, self.row, out=dZ)
        return np.multiply(dZ, self.scale, out=dZ)
