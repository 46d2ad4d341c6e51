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
    """Views `[K, n]` of the same columns of every array that an update reads or writes.

    weights, weights_grad, weights_scratch: the first columns of the block, as far as they are weights.
    """

    theta: Array
    grad: Array
    scratch: Array
    totals: tuple[Array, ...]
    weights: Array
    weights_grad: Array
    weights_scratch: Array


class Optimizer:
    """One update rule with its moments; `step` changes theta in place, and adds the L2 term to grad."""

    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Parameters) -> None:
        models = len(parameters.theta)
        self.averages = {name: Average(np.zeros_like(parameters.theta)) for name in self.moments}
        self.blocks = list(_blocks(parameters, [average.total for average in self.averages.values()]))
        self.rate, self.l2, self.epsilon = (np.zeros((models, 1), parameters.theta.dtype) for _ in range(3))
        self.configs: Sequence[TrainConfig] = ()
        self.regularized = False

    def configure(self, configs: Sequence[TrainConfig]) -> None:
        """Takes the hyperparameters of the models, from the next step on."""
        self.configs = configs
        self.l2[:, 0] = [config.l2 for config in configs]
        self.regularized = any(config.l2 for config in configs)

    def step(self, rates: Sequence[float]) -> None:
        """One update of all models from the gradients in grad; `rates` are this step's learning rates."""
        self.prepare(rates)
        for block in self.blocks:
            if self.regularized and block.weights.size:
                add_l2_gradient(block.weights, block.weights_grad, self.l2, block.weights_scratch)
            self.update(block)

    def prepare(self, rates: Sequence[float]) -> None:
        """Advances the moments' betas and works out this step's factors, once for all blocks."""
        self.rate[:, 0] = rates

    def update(self, block: Block) -> None:
        """theta of one block, in place."""
        raise NotImplementedError


def _blocks(parameters: Parameters, totals: list[Array]) -> Iterator[Block]:
    """Cuts the columns into pieces of BLOCK numbers, over all models together."""
    models, size = parameters.theta.shape
    width = max(64, BLOCK // models // 16 * 16)
    scratch = np.empty((models, min(width, size)), parameters.theta.dtype)
    for start in range(0, size, width):
        columns = slice(start, start + width)
        theta, grad = parameters.theta[:, columns], parameters.grad[:, columns]
        part = scratch[:, : theta.shape[1]]
        W = slice(0, max(0, parameters.layout.weights - start))
        moments = tuple(total[:, columns] for total in totals)
        yield Block(theta, grad, part, moments, theta[:, W], grad[:, W], part[:, W])


class GradientDescent(Optimizer):
    """theta -= alpha grad."""

    def update(self, block: Block) -> None:
        np.multiply(block.grad, self.rate, out=block.scratch)
        np.subtract(block.theta, block.scratch, out=block.theta)


class Momentum(Optimizer):
    """v = beta v + (1 - beta) grad; theta -= alpha v: the course's form, without bias correction."""

    moments = ("v",)

    def prepare(self, rates: Sequence[float]) -> None:
        v = self.averages["v"]
        v.advance([config.momentum for config in self.configs])
        for model, rate in enumerate(rates):
            self.rate[model, 0] = rate * v.weight(model, corrected=False)

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

    def prepare(self, rates: Sequence[float]) -> None:
        s = self.averages["s"]
        s.advance([config.beta2 for config in self.configs])
        for model, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            c = math.sqrt(s.weight(model, corrected=False))
            self.rate[model, 0] = rate / c
            self.epsilon[model, 0] = config.epsilon / c

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

    def prepare(self, rates: Sequence[float]) -> None:
        m, v = self.averages["m"], self.averages["v"]
        m.advance([config.beta1 for config in self.configs])
        v.advance([config.beta2 for config in self.configs])
        for model, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            c1 = m.weight(model, corrected=True)
            c2 = math.sqrt(v.weight(model, corrected=True))
            self.rate[model, 0] = rate * c1 / c2
            self.epsilon[model, 0] = config.epsilon / c2

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

    def prepare(self, rates: Sequence[float]) -> None:
        super().prepare(rates)
        for model, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            self.shrink[model, 0] = 1 - rate * config.weight_decay

    def update(self, block: Block) -> None:
        if block.weights.size:
            np.multiply(block.weights, self.shrink, out=block.weights)
        super().update(block)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "rmsprop": RmsProp,
    "adam": Adam,
    "adamw": AdamW,
}
