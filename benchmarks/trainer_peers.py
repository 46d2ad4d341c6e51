"""The same training with each library: a work's network, Adam, softmax, mini-batches, relu, in float32.

Each contender prepares itself and gives a function that trains one epoch and returns its number of steps
(models times steps for a stack). Imports are inside, so that each can be left out.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.config import TrainConfig
from trainer.data.datasets import checked
from trainer.data.preparation import Data, split_up
from trainer.model import first_checkpoint
from trainer.stack import Stack

Epoch = Callable[[], int]
BATCHES = 20


@dataclass(frozen=True)
class Work:
    """Layer sizes n[0] .. n[L] and examples in a batch; regularized: with batch norm and dropout of 0.2."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    regularized: bool = False

    @property
    def flops(self) -> int:
        """Of the matrix products of a step: forward, dW, and dA of all layers but the first."""
        products = [2 * self.batch * n * m for n, m in itertools.pairwise(self.sizes)]
        return 3 * sum(products) - products[0]

    def data(self) -> tuple[Any, Any]:
        rng = np.random.default_rng(0)
        m = self.batch * BATCHES
        return rng.standard_normal((m, self.sizes[0])).astype(np.float32), np.arange(m) % self.sizes[-1]

    def config(self) -> TrainConfig:
        return TrainConfig(
            "made",
            hidden_units=self.sizes[1:-1],
            batch_size=self.batch,
            dev_share=0,
            test_share=0,
            batch_norm=self.regularized,
            keep_prob=0.8 if self.regularized else 1.0,
        )

    def prepared(self) -> Data:
        return split_up(checked("made", *self.data()), self.config())


WORKS = {
    work.name: work
    for work in (
        Work("a", (64, 32, 32, 10), 64),
        Work("b", (64, 128, 64, 10), 128),
        Work("c", (784, 256, 128, 10), 128),
        Work("d", (784, 1024, 1024, 10), 256),
        Work("b+", (64, 128, 64, 10), 128, regularized=True),
    )
}


def sturgeon(work: Work, models: int) -> Epoch:
    data, config = work.prepared(), work.config()
    fresh = [first_checkpoint(config, data, seed) for seed in range(models)]
    stack = Stack(fresh, range(models), data, [{}] * models)

    def epoch() -> int:
        stack.advance(None, time.perf_counter)
        return models * BATCHES

    return epoch


def scikit_learn(work: Work) -> Epoch:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    X, y = work.data()
    model = MLPClassifier(
        work.sizes[1:-1], batch_size=work.batch, alpha=0, max_iter=10, n_iter_no_change=10**6, tol=0, random_state=0
    )

    def epochs() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        return 10 * BATCHES

    return epochs


def torch_model(sizes: tuple[int, ...], *, regularized: bool) -> Any:
    from torch import nn

    layers: list[Any] = []
    for n, m in itertools.pairwise(sizes[:-1]):
        layers.append(nn.Linear(n, m, bias=not regularized))
        layers += [nn.BatchNorm1d(m)] if regularized else []
        layers.append(nn.ReLU())
        layers += [nn.Dropout(0.2)] if regularized else []
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


def torch_eager(work: Work) -> Epoch:
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    X, y = (torch.from_numpy(array) for array in work.data())
    model = torch_model(work.sizes, regularized=work.regularized)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def epoch() -> int:
        for rows in torch.randperm(len(X)).split(work.batch):
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
        return BATCHES

    return epoch


def jax_scan(work: Work) -> Epoch:
    import jax
    import jax.numpy as jnp

    X, y = (jnp.asarray(array) for array in work.data())
    keys = jax.random.split(jax.random.PRNGKey(0), len(work.sizes))
    pairs = itertools.pairwise(work.sizes)
    theta = [
        (jax.random.normal(key, pair) * (2 / pair[0]) ** 0.5, jnp.zeros(pair[1]))
        for key, pair in zip(keys, pairs, strict=False)
    ]

    def cost(theta: Any, rows: Any) -> Any:
        A = X[rows]
        for W, b in theta[:-1]:
            A = jax.nn.relu(A @ W + b)
        logits = jax.nn.log_softmax(A @ theta[-1][0] + theta[-1][1])
        return -jnp.take_along_axis(logits, y[rows][:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> Any:
        theta, m, v, t = state
        g = jax.grad(cost)(theta, rows)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), theta, m, v)
        return (theta, m, v, t), None

    @jax.jit
    def run(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, len(X)).reshape(BATCHES, work.batch)
        return jax.lax.scan(step, state, order)[0]

    zeros = jax.tree.map(jnp.zeros_like, theta)
    held = {"state": run((theta, zeros, zeros, 0.0), keys[0])}

    def epoch() -> int:
        held["state"] = jax.block_until_ready(run(held["state"], keys[0]))
        return BATCHES

    return epoch
