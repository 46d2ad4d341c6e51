from __future__ import annotations

import numpy as np
import pytest

from trainer.gradcheck import GradientCheckError, check_network, slope
from trainer.layers.activations import ACTIVATIONS
from trainer.layers.dense import Dense
from trainer.layers.losses import LOSSES
from trainer.layers.network import Architecture, Network, ShapeError


def random_network(activation="sigmoid", loss="softmax", sizes=(5, 7, 6, 4), batch=9, sources=(), batch_norm=False):
    """A float64 network without model axis, with random parameters everywhere, and a batch X, Y."""
    shape = Architecture(sizes, (activation,) * (len(sizes) - 2), loss, batch_norm)
    parameters = shape.parameters((), np.float64)
    rng = np.random.default_rng(1)
    for values in parameters.values.values():
        values[...] = rng.standard_normal(values.shape) * 0.5
    X = rng.standard_normal((batch, sizes[0]))
    Y = random_targets(loss, rng, (batch, sizes[-1]))
    return Network(shape, parameters, batch, training=True, sources=sources), X, Y


def random_targets(loss, rng, shape):
    if loss == "softmax":
        return np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]
    if loss == "squared":
        return rng.standard_normal(shape)
    labels = rng.integers(0, 2, shape).astype(float)
    labels[rng.random(shape) < 0.3] = np.nan
    return labels


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_gradients_of_a_network_agree_with_differences(activation, loss, batch_norm):
    network, X, Y = random_network(activation, loss, batch_norm=batch_norm)
    for seed in range(5):
        report = check_network(network, X, Y, np.random.default_rng(seed), l2=0.3)
        assert report.largest < 1e-6, report.relative_errors


def test_the_gradients_of_softmax_regression_agree_with_differences():
    """That is a network without hidden layers."""
    network, X, Y = random_network(sizes=(5, 4))
    assert check_network(network, X, Y, np.random.default_rng(0)).largest < 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation_agrees_with_differences_for_a_random_cotangent(activation):
    rng = np.random.default_rng(3)
    Z, cotangent, direction = rng.standard_normal((3, 8, 5))
    layer = ACTIVATIONS[activation](Z)
    numeric = slope(lambda: float(np.vdot(layer.forward(Z), cotangent)), Z, direction)
    layer.forward(Z)
    assert numeric == pytest.approx(np.vdot(layer.backward(cotangent.copy()), direction), rel=1e-6)


def test_a_dense_layer_agrees_with_differences_for_a_random_cotangent():
    rng = np.random.default_rng(4)
    A, W, b = rng.standard_normal((6, 5)), rng.standard_normal((5, 3)), rng.standard_normal((1, 3))
    cotangent = rng.standard_normal((6, 3))
    dense = Dense(W, b, np.empty_like(W), np.empty_like(b), 6, first=False, last=False)
    dense.forward(A)
    dA = dense.backward(cotangent).copy()
    dW, db = dense.dW.copy(), dense.db.copy()
    for array, gradient in ((A, dA), (W, dW), (b, db)):
        direction = rng.standard_normal(array.shape)
        numeric = slope(lambda: float(np.vdot(dense.forward(A), cotangent)), array, direction)
        assert numeric == pytest.approx(np.vdot(gradient, direction), rel=1e-6)


def test_the_gradient_check_names_the_parameter_with_a_planted_mistake():
    network, X, Y = random_network()
    right = network.gradients

    def wrong(X, Y):
        right(X, Y)
        network.parameters.grads["W2"][3, 2] *= 1.1

    network.gradients = wrong
    report = check_network(network, X, Y, np.random.default_rng(0))
    assert report.worst == "W2"
    assert report.largest > 1e-4


def test_the_gradient_check_refuses_dropout():
    network, X, Y = random_network(sources=[np.random.SFC64(1)])
    network.set_keep_probs([[0.5, 1.0]])
    with pytest.raises(GradientCheckError, match="dropout"):
        check_network(network, X, Y, np.random.default_rng(0))


def test_a_batch_of_the_wrong_width_is_refused_with_the_layer_and_both_shapes():
    network, X, _ = random_network()
    with pytest.raises(ShapeError, match=r"Layer 1: .*\(9, 4\).*\(5, 7\)"):
        network.forward(X[:, :4])


def test_softmax_survives_logits_that_overflow_an_exponential():
    loss = LOSSES["softmax"](np.empty((2, 3), np.float32))
    Z = np.array([[1000.0, 0, -1000], [0, 0, 0]], np.float32)
    assert loss.forward(Z) == pytest.approx(np.array([[1, 0, 0], [1 / 3] * 3]))
    Y = np.array([[0, 1, 0], [1, 0, 0]], np.float32)
    assert loss.costs(Z, Y) == pytest.approx([1000, np.log(3)])
