"""The gradient check catches mistakes: each test plants one that is often made, in forward or backward."""

from __future__ import annotations

import numpy as np
import pytest

from trainer import gradcheck
from trainer.gradcheck import check_network
from trainer.layers.activations import LeakyRelu, Relu, Sigmoid, Tanh
from trainer.layers.batchnorm import BatchNorm
from trainer.layers.dense import Dense
from trainer.layers.losses import Logistic, Loss
from trainer.layers.network import Architecture, Network


def checked_network(activation, loss, batch_norm, l2=0.5):
    rng = np.random.default_rng(2)
    shape = Architecture((4, 6, 5, 3), (activation, activation), loss, batch_norm)
    parameters = shape.parameters((), np.float64)
    for values in parameters.values.values():
        values[...] = rng.standard_normal(values.shape)
    Y = rng.integers(0, 2, (7, 3)).astype(float) if loss == "logistic" else np.eye(3)[rng.integers(0, 3, 7)]
    network = Network(shape, parameters, 7, training=True)
    return check_network(network, rng.standard_normal((7, 4)), Y, rng, l2=l2).largest


def bias_gradient_is_a_mean(right):
    def backward(self, dZ):
        dA = right(self, dZ)
        if self.db is not None:
            self.db /= len(dZ)
        return dA

    return backward


def the_last_example_is_forgotten(right):
    def backward(self, dZ):
        dA = right(self, dZ)
        self.dW -= self.A_prev[-1:].T @ dZ[-1:]
        return dA

    return backward


def the_gradient_is_passed_on_with_the_wrong_sign(right):
    def backward(self, dZ):
        dA = right(self, dZ)
        return None if dA is None else np.negative(dA, out=dA)

    return backward


def relu_lets_everything_through(_):
    return lambda _self, dA: dA


def the_leak_is_forgotten(_):
    return lambda self, dA: np.multiply(dA, self.A > 0, out=dA)


def the_slope_of_sigmoid_is_a(_):
    return lambda self, dA: np.multiply(dA, self.A, out=dA)


def the_slope_of_tanh_is_one_minus_a(_):
    return lambda self, dA: np.multiply(dA, 1 - self.A, out=dA)


def the_variance_is_taken_for_a_constant(right):
    def backward(self, dZ):
        right(self, dZ.copy())
        dZ -= self.d_beta / len(dZ)
        dZ *= self.scale
        return dZ

    return backward


def the_mean_is_taken_for_a_constant(right):
    def backward(self, dZ):
        shift = dZ.sum(axis=0, keepdims=True) / len(dZ)
        right(self, dZ)
        dZ += shift * self.scale
        return dZ

    return backward


def gamma_gets_the_gradient_of_beta(right):
    def backward(self, dZ):
        right(self, dZ)
        self.d_gamma[...] = self.d_beta
        return dZ

    return backward


def the_mean_over_the_batch_is_forgotten(right):
    def backward(self, Y):
        right(self, Y)
        self.A *= len(Y)
        return self.A

    return backward


def the_slope_of_the_last_sigmoid_is_counted_twice(right):
    def backward(self, Y):
        slope = self.A * (1 - self.A)
        right(self, Y)
        self.A *= slope
        return self.A

    return backward


MISTAKES = [
    (bias_gradient_is_a_mean, Dense, "tanh", "softmax", False),
    (the_last_example_is_forgotten, Dense, "tanh", "softmax", False),
    (the_gradient_is_passed_on_with_the_wrong_sign, Dense, "tanh", "softmax", False),
    (relu_lets_everything_through, Relu, "relu", "softmax", False),
    (the_leak_is_forgotten, LeakyRelu, "leaky_relu", "softmax", False),
    (the_slope_of_sigmoid_is_a, Sigmoid, "sigmoid", "softmax", False),
    (the_slope_of_tanh_is_one_minus_a, Tanh, "tanh", "softmax", False),
    (the_variance_is_taken_for_a_constant, BatchNorm, "tanh", "softmax", True),
    (the_mean_is_taken_for_a_constant, BatchNorm, "tanh", "softmax", True),
    (gamma_gets_the_gradient_of_beta, BatchNorm, "tanh", "softmax", True),
    (the_mean_over_the_batch_is_forgotten, Loss, "tanh", "squared", False),
    (the_slope_of_the_last_sigmoid_is_counted_twice, Logistic, "tanh", "logistic", False),
]


@pytest.mark.parametrize(("mistake", "where", "activation", "loss", "batch_norm"), MISTAKES)
def test_the_check_catches_a_planted_mistake(mistake, where, activation, loss, batch_norm, monkeypatch):
    assert checked_network(activation, loss, batch_norm) < 1e-6
    monkeypatch.setattr(where, "backward", mistake(where.backward))
    assert checked_network(activation, loss, batch_norm) > 1e-4


@pytest.mark.parametrize("l2_of_gradient", [lambda l2: 0 * l2, lambda l2: 2 * l2])
def test_the_check_catches_a_regulariser_that_is_forgotten_or_doubled(l2_of_gradient, monkeypatch):
    right = gradcheck.add_l2_gradient
    monkeypatch.setattr(
        gradcheck, "add_l2_gradient", lambda W, dW, l2, weights: right(W, dW, l2_of_gradient(l2), weights)
    )
    assert checked_network("tanh", "softmax", batch_norm=False) > 1e-4


def test_a_random_cotangent_catches_what_one_of_ones_misses_in_batch_norm():
    """With a cotangent of ones batch norm's dX is 0, so a dX of zeros would pass."""
    shape = Architecture((3, 4, 2), ("linear",), "softmax", batch_norm=True)
    parameters = shape.parameters((), np.float64)
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((6, 4))
    layer = BatchNorm(Z, parameters, 1, training=True)
    for cotangent, nothing in ((np.ones((6, 4)), True), (rng.standard_normal((6, 4)), False)):
        direction = rng.standard_normal(Z.shape)
        numeric = gradcheck.slope(lambda c=cotangent: float(np.vdot(layer.forward(Z.copy()), c)), Z, direction)
        layer.forward(Z.copy())
        analytic = float(np.vdot(layer.backward(cotangent.copy()), direction))
        assert numeric == pytest.approx(analytic, rel=1e-6, abs=1e-8)
        assert (abs(analytic) < 1e-8) is nothing
