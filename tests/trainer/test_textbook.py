"""Training against a loop as the course writes it: in float64, an array for each W, b and moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.config import TrainConfig
from trainer.data.batches import example_order
from trainer.training import Command, resume


def textbook_gradients(p, X, Y, depth, l2):
    m = X.shape[1]
    A = {0: X}
    for layer in range(1, depth + 1):
        Z = p[f"W{layer}"] @ A[layer - 1] + p[f"b{layer}"]
        A[layer] = np.maximum(Z, 0) if layer < depth else np.exp(Z) / np.exp(Z).sum(axis=0)
    grads, dZ = {}, A[depth] - Y
    for layer in range(depth, 0, -1):
        grads[f"W{layer}"] = dZ @ A[layer - 1].T / m + l2 * p[f"W{layer}"]
        grads[f"b{layer}"] = dZ.sum(axis=1, keepdims=True) / m
        dZ = p[f"W{layer}"].T @ dZ * (A[layer - 1] > 0)
    return grads


def textbook_update(c, p, g, m, v, powers):
    powers["beta1"] *= c.beta1
    powers["beta2"] *= c.beta2
    for name in p:
        if c.optimizer == "gradient_descent":
            p[name] -= c.learning_rate * g[name]
        elif c.optimizer == "momentum":
            v[name] = c.momentum * v[name] + (1 - c.momentum) * g[name]
            p[name] -= c.learning_rate * v[name]
        elif c.optimizer == "adam":
            m[name] = c.beta1 * m[name] + (1 - c.beta1) * g[name]
            v[name] = c.beta2 * v[name] + (1 - c.beta2) * g[name] ** 2
            corrected_m, corrected_v = m[name] / (1 - powers["beta1"]), v[name] / (1 - powers["beta2"])
            p[name] -= c.learning_rate * corrected_m / (np.sqrt(corrected_v) + c.epsilon)


def textbook_run(config, data, checkpoint, steps, change_at=None, change=None):
    """Values by name after these steps; live fields change before step `change_at`, counted from 1."""
    shape = checkpoint.architecture()
    p = {name: W.T.copy() for name, W in shape.layout().views(checkpoint.theta).items()}
    m, v = ({name: np.zeros_like(W) for name, W in p.items()} for _ in range(2))
    powers, step, epoch = {"beta1": 1.0, "beta2": 1.0}, 0, 0
    while True:
        rows = example_order(checkpoint.seed, epoch, len(data.train))
        for start in range(0, len(rows), config.batch_size):
            batch = rows[start : start + config.batch_size]
            step += 1
            if step == change_at:
                config = replace(config, **change)
            X, Y = data.train.X[batch].T.astype(float), data.train.Y[batch].T.astype(float)
            textbook_update(config, p, textbook_gradients(p, X, Y, shape.depth, config.l2), m, v, powers)
            if step == steps:
                return {name: W.T for name, W in p.items()}
        epoch += 1


LIVE_CHANGE = {"learning_rate": 0.02, "momentum": 0.5, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3, "l2": 0.1}


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
@pytest.mark.parametrize("changed", [False, True])
def test_training_agrees_with_a_textbook_loop_also_when_live_fields_change(optimizer, changed, small_data, exact_start):
    config = TrainConfig(
        "small",
        epochs=20,
        hidden_units=(8, 5),
        optimizer=optimizer,
        learning_rate=0.01,
        batch_size=16,
        l2=0.01,
    )
    start = exact_start(config, small_data)
    steps_per_epoch = 6
    run = resume([start], small_data)
    progress = next(run)
    while progress.epoch < 17:
        steer = changed and progress.epoch == 8
        last = progress.checkpoint()
        progress = run.send(Command(LIVE_CHANGE) if steer else None)
    last = progress.checkpoint()
    change_at = 8 * steps_per_epoch + 1 if changed else None
    wanted = textbook_run(config, small_data, start, 17 * steps_per_epoch, change_at, LIVE_CHANGE)
    views = last.architecture().layout().views(last.theta)
    for name, W in wanted.items():
        np.testing.assert_allclose(views[name], W, rtol=1e-6, atol=1e-9)
