"""Gradients against HIPS autograd, and training with everything on against a loop that takes its gradients
there.
"""

from __future__ import annotations

import math
from dataclasses import replace

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from trainer.config import LIVE, TrainConfig
from trainer.data.batches import example_order
from trainer.layers.activations import ACTIVATIONS
from trainer.layers.losses import LOSSES
from trainer.layers.network import Architecture, Network
from trainer.optim.optimizers import OPTIMIZERS
from trainer.optim.regularizers import add_l2_gradient
from trainer.training import resume

G = {
    "relu": lambda Z: anp.maximum(Z, 0),
    "leaky_relu": lambda Z: anp.maximum(Z, 0.01 * Z),
    "tanh": anp.tanh,
    "sigmoid": lambda Z: 1 / (1 + anp.exp(-Z)),
    "linear": lambda Z: Z,
}


def course_cost(p, shape, X, Y, masks, l2=0.0):
    """J of a batch, written as in the course; p: parameters by name, masks: D / keep_prob of each hidden
    layer.
    """
    A = X
    for layer in range(1, shape.depth + 1):
        Z = A @ p[f"W{layer}"]
        if f"b{layer}" in p:
            Z = Z + p[f"b{layer}"]
        else:
            centred = Z - anp.mean(Z, axis=0)
            Z = centred / anp.sqrt(anp.mean(centred**2, axis=0) + 1e-5)
            Z = p[f"gamma{layer}"] * Z + p[f"beta{layer}"]
        if layer < shape.depth:
            A = G[shape.activations[layer - 1]](Z) * masks[layer - 1]
    if shape.loss == "softmax":
        log_a = Z - anp.log(anp.sum(anp.exp(Z), axis=1, keepdims=True))
        costs = -anp.sum(Y * log_a, axis=1)
    elif shape.loss == "logistic":
        given, y = ~np.isnan(Y), np.nan_to_num(Y)
        log_a, log_rest = -anp.log(1 + anp.exp(-Z)), -anp.log(1 + anp.exp(Z))
        costs = -anp.sum(given * (y * log_a + (1 - y) * log_rest), axis=1)
    else:
        costs = anp.sum((Z - Y) ** 2, axis=1) / 2
    return anp.mean(costs) + l2 / 2 * sum(anp.sum(p[name] ** 2) for name in p if name.startswith("W"))


def random_case(seed):
    """A network of random depth, widths, activations and loss, with dropout and batch norm or not, and a
    batch.
    """
    rng = np.random.default_rng(seed)
    loss = rng.choice(list(LOSSES))
    hidden = rng.integers(0, 4)
    sizes = tuple(rng.integers(2, 12, hidden + 2).tolist())
    shape = Architecture(sizes, tuple(rng.choice(list(ACTIVATIONS), hidden)), loss, bool(rng.integers(2)))
    parameters = shape.parameters((), np.float64)
    for values in parameters.values.values():
        values[...] = rng.standard_normal(values.shape)
    batch = int(rng.integers(2, 20))
    X = rng.standard_normal((batch, sizes[0]))
    Y = np.eye(sizes[-1])[rng.integers(0, sizes[-1], batch)]
    if loss == "squared":
        Y = rng.standard_normal(Y.shape)
    if loss == "logistic":
        Y = np.where(rng.random(Y.shape) < 0.2, np.nan, rng.integers(0, 2, Y.shape))
    return rng, shape, parameters, X, Y


@pytest.mark.parametrize("seed", range(40))
def test_the_gradients_of_random_networks_are_those_of_autograd(seed):
    rng, shape, parameters, X, Y = random_case(seed)
    l2 = float(rng.choice([0.0, 0.1]))
    # The model axis is there for dropout: one model, K = 1.
    stacked = shape.parameters((1,), np.float64)
    stacked.theta[0] = parameters.theta
    network = Network(shape, stacked, len(X), training=True, sources=[np.random.SFC64(seed)])
    network.set_keep_probs([[float(rng.choice([1.0, 0.5, 0.8])) for _ in shape.activations]])
    network.gradients(X[None], Y[None])
    add_l2_gradient(stacked.theta, stacked.grad, np.full((1, 1), l2), shape.layout().weights)
    masks = [dropout.D[0] if dropout.active else 1.0 for dropout in network.dropouts]
    p = {name: values[0].copy() for name, values in stacked.values.items()}
    wanted = grad(course_cost)(p, shape, X, Y, masks, l2)
    whole = math.sqrt(sum(np.sum(g**2) for g in wanted.values()))
    for name, gradient in wanted.items():
        distance = np.linalg.norm(stacked.grads[name][0] - gradient)
        assert distance <= 1e-7 * max(np.linalg.norm(gradient), 1e-3 * whole), name


class Textbook:
    """Training as the course writes it, with everything on, an array for each parameter and moment."""

    def __init__(self, config, data, start):
        self.config, self.data, self.shape = config, data, start.architecture()
        views = self.shape.layout().views(start.theta)
        self.p = {name: values.copy() for name, values in views.items()}
        self.m, self.v, self.average = {}, {}, {}
        self.mean, self.variance = np.zeros(self.shape.sizes[1]), np.zeros(self.shape.sizes[1])
        self.powers = dict.fromkeys(("m", "v", "average", "statistics"), 1.0)
        self.bits = np.random.SFC64(np.random.SeedSequence(start.seed, spawn_key=(2,)))
        self.seed, self.step, self.epoch = start.seed, 0, 0

    def run(self, steps, change_at, change):
        while True:
            rows = example_order(self.seed, self.epoch, len(self.data.train))
            starts = range(0, len(rows), self.config.batch_size)
            for place, begin in enumerate(starts):
                if self.step + 1 == change_at:
                    self.config = replace(self.config, **change)
                batch = rows[begin : begin + self.config.batch_size]
                self.one_step(batch, self.epoch + place / len(starts), 1 / len(starts))
                self.step += 1
                if self.step == steps:
                    return
            self.epoch += 1

    def one_step(self, batch, t, part):
        c = self.config
        X, Y = self.data.train.X[batch].astype(float), self.data.train.Y[batch].astype(float)
        masks = [self.mask(len(batch), n, k) for n, k in zip(self.shape.sizes[1:-1], c.keep_probs(), strict=True)]
        self.note_statistics(X)
        g = grad(course_cost)(self.p, self.shape, X, Y, masks)
        frozen = {name for name in self.p if int(name[-1]) <= c.frozen_layers}
        g = {name: np.zeros_like(x) if name in frozen else x for name, x in g.items()}
        norm = math.sqrt(sum(np.sum(x**2) for x in g.values()))
        if c.clip_norm and norm > c.clip_norm:
            g = {name: x * c.clip_norm / norm for name, x in g.items()}
        g = {name: x + c.l2 * self.p[name] if name.startswith("W") else x for name, x in g.items()}
        before = {name: self.p[name].copy() for name in frozen}
        self.update(g, self.learning_rate(t, part))
        self.p |= before
        self.powers["average"] *= c.average_beta
        for name, x in self.p.items():
            self.average[name] = c.average_beta * self.average.get(name, 0) + (1 - c.average_beta) * x

    def mask(self, examples, units, keep_prob):
        level = round(256 * keep_prob)
        if level == 256:
            return 1.0
        random_bytes = self.bits.random_raw(-(-examples * units // 8)).view(np.uint8)[: examples * units]
        return (random_bytes.reshape(examples, units) < level) * (256 / level)

    def note_statistics(self, X):
        """mu and sigma^2 of the first hidden layer (the others work the same way)."""
        Z, beta = X @ self.p["W1"], self.config.running_beta
        self.powers["statistics"] *= beta
        self.mean = beta * self.mean + (1 - beta) * Z.mean(axis=0)
        self.variance = beta * self.variance + (1 - beta) * Z.var(axis=0)

    def learning_rate(self, t, part):
        c = self.config
        warm = min(1, (t + part) / c.warmup_epochs) if c.warmup_epochs else 1
        factor = {
            "constant": 1,
            "inverse_time": 1 / (1 + c.decay * t),
            "exponential": (1 - c.decay) ** t,
            "inverse_sqrt": 1 / math.sqrt(1 + c.decay * t),
            "staircase": (1 - c.decay) ** (t // c.decay_epochs),
            "cosine": (1 + math.cos(math.pi * t / c.epochs)) / 2,
        }[c.schedule]
        return c.learning_rate * warm * factor

    def update(self, g, alpha):
        c, p, m, v = self.config, self.p, self.m, self.v
        b1 = c.momentum if c.optimizer == "momentum" else c.beta1
        self.powers["m"] *= b1
        self.powers["v"] *= c.beta2
        for name, x in g.items():
            m[name] = b1 * m.get(name, 0) + (1 - b1) * x
            v[name] = c.beta2 * v.get(name, 0) + (1 - c.beta2) * x**2
            if c.optimizer == "gradient_descent":
                p[name] = p[name] - alpha * x
            elif c.optimizer == "momentum":
                p[name] = p[name] - alpha * m[name]
            elif c.optimizer == "rmsprop":
                p[name] = p[name] - alpha * x / (np.sqrt(v[name]) + c.epsilon)
            else:
                if c.optimizer == "adamw" and name.startswith("W"):
                    p[name] = p[name] * (1 - alpha * c.weight_decay)
                m_hat, v_hat = m[name] / (1 - self.powers["m"]), v[name] / (1 - self.powers["v"])
                p[name] = p[name] - alpha * m_hat / (np.sqrt(v_hat) + c.epsilon)


OF_STREAMS = {"window", "replay_share", "portion_epochs", "forget_before", "match_labels", "clip_inputs"}
EVERY_LIVE_FIELD = {
    "epochs": 40,
    "learning_rate": 0.02,
    "schedule": "cosine",
    "decay": 0.05,
    "decay_epochs": 3.0,
    "warmup_epochs": 12.0,
    "momentum": 0.6,
    "beta1": 0.7,
    "beta2": 0.95,
    "epsilon": 1e-4,
    "clip_norm": 0.4,
    "l2": 0.05,
    "weight_decay": 0.3,
    "keep_prob": (0.6, 0.9),
    "running_beta": 0.7,
    "average_beta": 0.8,
    "frozen_layers": 1,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("change_at", [None, 50])
def test_a_hundred_steps_equal_a_textbook_loop_also_when_every_live_field_changes(
    optimizer, change_at, small_data, exact_start
):
    assert set(EVERY_LIVE_FIELD) == LIVE - OF_STREAMS
    config = TrainConfig(
        "small",
        epochs=17,
        hidden_units=(8, 5),
        activation=("relu", "tanh"),
        batch_norm=True,
        optimizer=optimizer,
        learning_rate=0.01,
        schedule="inverse_time",
        batch_size=16,
        keep_prob=0.8,
        l2=0.01,
        clip_norm=2.0,
        averaged_weights=True,
    )
    start = exact_start(config, small_data)
    changes = {} if change_at is None else {change_at: EVERY_LIVE_FIELD}
    progress = next(p for p in resume([start], small_data, changes=[changes]) if p.step == 102)
    ours = progress.checkpoint()
    book = Textbook(config, small_data, start)
    book.run(102, change_at, EVERY_LIVE_FIELD)

    views, averaged = ours.architecture().layout().views(ours.theta), ours.parameters()
    for name, x in book.p.items():
        np.testing.assert_allclose(views[name], x, rtol=1e-6, atol=1e-8)
        corrected = book.average[name] / (1 - book.powers["average"])
        np.testing.assert_allclose(averaged.values[name][0], corrected, rtol=1e-6, atol=1e-8)
    for found, wanted in ((averaged.running["mean1"], book.mean), (averaged.running["variance1"], book.variance)):
        np.testing.assert_allclose(found[0, 0], wanted / (1 - book.powers["statistics"]), rtol=1e-6)


@pytest.mark.parametrize("schedule", ["inverse_time", "exponential", "inverse_sqrt", "staircase", "cosine"])
def test_every_schedule_gives_the_rates_of_its_formula(schedule, small_data, exact_start):
    config = TrainConfig("small", epochs=9, schedule=schedule, decay=0.3, decay_epochs=2, warmup_epochs=1.5)
    start = exact_start(config, small_data)
    book = Textbook(config, small_data, start)
    rates = [p.metrics["learning_rate"] for p in resume([start], small_data) if not p.ended]
    # Two steps an epoch: the last rate used in epoch e is that of e - 1/2.
    assert rates == pytest.approx([book.learning_rate(epoch - 0.5, 0.5) for epoch in range(1, 10)])
