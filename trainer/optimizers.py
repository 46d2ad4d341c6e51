"""The rules that turn gradients into steps, over the flat arrays of K models at once.

An update runs block by block: all its operations on one block that stays in the cache, then the next block.
The hyperparameters of the K models come as their configs, and may differ and change from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from trainer.averages import Average
from trainer.config import TrainConfig
from trainer.parameters import Array, Parameters
from trainer.regularizers import add_l2_gradient

BLOCK = 1 << 15
"""Numbers of one array in a block: five such arrays of float32 fill most of a 1 MB second-level cache."""


class Block(NamedTuple):
    """Views `[K, n]` of the same columns of every array that an update reads or writes."""

    theta: Array
    grad: Array
    scratch: Array
    totals: tuple[Array, ...]
    weights: bool


class Optimizer:
    """One update rule with its moments; `step` changes theta in place, and adds the L2 term to grad."""

    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Parameters) -> None:
        models = len(parameters.theta)
        self.averages = {name: Average(np.zeros_like(parameters.theta)) for name in self.moments}
        self.blocks = list(_blocks(parameters, [average.total for average in self.averages.values()]))
        self.rate, self.l2, self.epsilon = (np.zeros((models, 1), parameters.theta.dtype) for _ in range(3))

    def step(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        """One update of all models from the gradients in grad; `rates` are this step's learning rates."""
        self.prepare(configs, rates)
        self.l2[:, 0] = [config.l2 for config in configs]
        regularized = any(config.l2 for config in configs)
        for block in self.blocks:
            if regularized and block.weights:
                add_l2_gradient(block.theta, block.grad, self.l2, block.scratch)
            self.update(block)

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        """Advances the moments' betas and works out this step's factors, once for all blocks."""
        raise NotImplementedError

    def update(self, block: Block) -> None:
        """theta of one block, in place."""
        raise NotImplementedError


def _blocks(parameters: Parameters, totals: list[Array]) -> Iterator[Block]:
    """Cuts the columns at the end of the weights and into pieces of BLOCK numbers."""
    models, size = parameters.theta.shape
    width = max(64, BLOCK // models // 16 * 16)
    scratch = np.empty((models, min(width, size)), parameters.theta.dtype)
    for first, last in ((0, parameters.layout.weights), (parameters.layout.weights, size)):
        for start in range(first, last, width):
            columns = slice(start, min(start + width, last))
            views = [array[:, columns] for array in (parameters.theta, parameters.grad, *totals)]
            part = scratch[:, : views[0].shape[1]]
            yield Block(views[0], views[1], part, tuple(views[2:]), weights=last <= parameters.layout.weights)


class GradientDescent(Optimizer):
    """theta -= alpha grad."""

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:  # noqa: ARG002
        self.rate[:, 0] = rates

    def update(self, block: Block) -> None:
        np.multiply(block.grad, self.rate, out=block.scratch)
        np.subtract(block.theta, block.scratch, out=block.theta)


class Momentum(Optimizer):
    """v = beta v + (1 - beta) grad; theta -= alpha v: the course's form, without bias correction."""

    moments = ("v",)

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        v = self.averages["v"]
        v.advance([config.momentum for config in configs])
        self.rate[:, 0] = [rate * v.weight(model, corrected=False) for model, rate in enumerate(rates)]

    def update(self, block: Block) -> None:
        (v,) = block.totals
        self.averages["v"].take(v, block.grad)
        np.multiply(v, self.rate, out=block.scratch)
        np.subtract(block.theta, block.scratch, out=block.theta)


class RmsProp(Optimizer):
    """s = beta2 s + (1 - beta2) grad^2; theta -= alpha grad / (sqrt(s) + epsilon) (Hinton's lecture, the
    course).
    """

    moments = ("s",)

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        s = self.averages["s"]
        s.advance([config.beta2 for config in configs])
        c = [math.sqrt(s.weight(model, corrected=False)) for model in range(len(configs))]
        self.rate[:, 0] = [rate / factor for rate, factor in zip(rates, c, strict=True)]
        self.epsilon[:, 0] = [config.epsilon / factor for config, factor in zip(configs, c, strict=True)]

    def update(self, block: Block) -> None:
        (s,) = block.totals
        np.multiply(block.grad, block.grad, out=block.scratch)
        self.averages["s"].take(s, block.scratch)
        np.sqrt(s, out=block.scratch)
        np.add(block.scratch, self.epsilon, out=block.scratch)
        np.divide(block.grad, block.scratch, out=block.scratch)
        np.multiply(block.scratch, self.rate, out=block.scratch)
        np.subtract(block.theta, block.scratch, out=block.theta)


class Adam(Optimizer):
    """theta -= alpha m / (sqrt(v) + epsilon), m and v averages of grad and grad^2 (Kingma and Ba 2015,
    algorithm 1).

    With sums M and V for m = c1 M and v = c2^2 V this is alpha c1 / c2 * M / (sqrt(V) + epsilon / c2), so the
    corrections cost two numbers a step and no pass over the arrays.
    """

    moments = ("m", "v")

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        m, v = self.averages["m"], self.averages["v"]
        m.advance([config.beta1 for config in configs])
        v.advance([config.beta2 for config in configs])
        c1 = [m.weight(model, corrected=True) for model in range(len(configs))]
        c2 = [math.sqrt(v.weight(model, corrected=True)) for model in range(len(configs))]
        self.rate[:, 0] = [rate * first / second for rate, first, second in zip(rates, c1, c2, strict=True)]
        self.epsilon[:, 0] = [config.epsilon / second for config, second in zip(configs, c2, strict=True)]

    def update(self, block: Block) -> None:
        m, v = block.totals
        self.averages["m"].take(m, block.grad)
        np.multiply(block.grad, block.grad, out=block.scratch)
        self.averages["v"].take(v, block.scratch)
        np.sqrt(v, out=block.scratch)
        np.add(block.scratch, self.epsilon, out=block.scratch)
        np.divide(m, block.scratch, out=block.scratch)
        np.multiply(block.scratch, self.rate, out=block.scratch)
        np.subtract(block.theta, block.scratch, out=block.theta)


class AdamW(Adam):
    """Adam, and W *= 1 - alpha weight_decay apart from the gradient (Loshchilov and Hutter 2019)."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.shrink = np.ones_like(self.rate)

    def prepare(self, configs: Sequence[TrainConfig], rates: Sequence[float]) -> None:
        super().prepare(configs, rates)
        self.shrink[:, 0] = [1 - rate * config.weight_decay for config, rate in zip(configs, rates, strict=True)]

    def update(self, block: Block) -> None:
        if block.weights:
            np.multiply(block.theta, self.shrink, out=block.theta)
        super().update(block)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "rmsprop": RmsProp,
    "adam": Adam,
    "adamw": AdamW,
}
