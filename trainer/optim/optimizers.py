"""Update rules: gradient descent, momentum, RMSprop, Adam, AdamW, over the flat arrays `[K, P]` of K models at once.

Each rule is one loop over the numbers of a model, so that every array is read and written once. The loop also looks for
NaN and infinities: `x - x` is NaN for both. The K models have hyperparameters of their own, which may change from step
to step; the loops get them as `[K, 1]`.

To add one: a class here and its name in OPTIMIZERS; then the name in `sturgeon.training.Optimizer`. A new
hyperparameter is a field there, in `TrainConfig` and in `UpdateRuleFields`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from trainer.layers.compiled import compiled
from trainer.layers.parameters import Array, Parameters, aligned_like
from trainer.optim.averages import Average
from trainer.optim.regularizers import add_l2_gradient


class UpdateRuleFields(Protocol):
    """The fields of `TrainConfig` that the rules read."""

    @property
    def momentum(self) -> float: ...
    @property
    def beta1(self) -> float: ...
    @property
    def beta2(self) -> float: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def l2(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


class Optimizer:
    """One update rule with its moments; `step` changes theta in place, and adds the L2 term to grad.

    moments: names of the averages that the rule reads. wrong `[K]`: whether a model's gradient was not finite in the
    last step.
    """

    moments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Parameters) -> None:
        self.theta, self.grad = parameters.theta, parameters.grad
        self.weights = parameters.layout.weights
        self.averages = {name: Average(aligned_like(self.theta)) for name in self.moments}
        self.rate, self.l2, self.epsilon = (np.zeros((len(self.theta), 1), self.theta.dtype) for _ in range(3))
        self.wrong = np.zeros(len(self.theta), np.bool_)
        self.configs: Sequence[UpdateRuleFields] = ()
        self.regularized = False

    def configure(self, configs: Sequence[UpdateRuleFields]) -> None:
        """Sets the hyperparameters of the models from the next step on."""
        self.configs = configs
        self.l2[:, 0] = [config.l2 for config in configs]
        self.regularized = any(config.l2 for config in configs)

    def step(self, rates: Sequence[float]) -> None:
        """One update of all models from the gradients in grad; `rates` are this step's learning rates."""
        self.prepare(rates)
        if self.regularized:
            add_l2_gradient(self.theta, self.grad, self.l2, self.weights)
        self.update()

    def prepare(self, rates: Sequence[float]) -> None:
        """Advances the moments' betas and computes this step's factors, bias correction included."""
        self.rate[:, 0] = rates

    def update(self) -> None:
        """Updates theta and wrong in place."""
        raise NotImplementedError


class GradientDescent(Optimizer):
    """theta -= alpha grad."""

    def update(self) -> None:
        descend(self.theta, self.grad, self.rate, self.wrong)


@compiled
def descend(theta: Array, x: Array, rate: Array, wrong: Array) -> None:
    """theta -= rate x; theta, x `[K, P]`, rate `[K, 1]`, wrong `[K]`."""
    for k in range(len(theta)):
        odd = False
        for i in range(theta.shape[1]):
            odd |= x[k, i] - x[k, i] != 0
            theta[k, i] -= x[k, i] * rate[k, 0]
        wrong[k] = odd


class Momentum(Optimizer):
    """v = beta v + (1 - beta) grad; theta -= alpha v: the course's form, without bias correction."""

    moments = ("v",)

    def prepare(self, rates: Sequence[float]) -> None:
        v = self.averages["v"]
        v.advance([config.momentum for config in self.configs])
        for model, rate in enumerate(rates):
            self.rate[model, 0] = rate * v.weight(model, corrected=False)

    def update(self) -> None:
        v = self.averages["v"]
        v.add(self.grad)
        descend(self.theta, v.total, self.rate, self.wrong)


class RmsProp(Optimizer):
    """s = beta2 s + (1 - beta2) grad^2; theta -= alpha grad / (sqrt(s) + epsilon) (Hinton's lecture; the course)."""

    moments = ("s",)

    def prepare(self, rates: Sequence[float]) -> None:
        s = self.averages["s"]
        s.advance([config.beta2 for config in self.configs])
        for model, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            c = math.sqrt(s.weight(model, corrected=False))
            self.rate[model, 0] = rate / c
            self.epsilon[model, 0] = config.epsilon / c

    def update(self) -> None:
        s = self.averages["s"]
        descend_rmsprop(self.theta, self.grad, s.total, s.factor, self.rate, self.epsilon, self.wrong)


@compiled
def descend_rmsprop(
    theta: Array, grad: Array, s: Array, beta2: Array, rate: Array, epsilon: Array, wrong: Array
) -> None:
    """theta, grad, s `[K, P]`; wrong `[K]`; the others `[K, 1]`."""
    for k in range(len(theta)):
        odd = False
        for i in range(theta.shape[1]):
            g = grad[k, i]
            odd |= g - g != 0
            s_i = s[k, i] * beta2[k, 0] + g * g
            s[k, i] = s_i
            theta[k, i] -= g / (np.sqrt(s_i) + epsilon[k, 0]) * rate[k, 0]
        wrong[k] = odd


class Adam(Optimizer):
    """theta -= alpha m / (sqrt(v) + epsilon), with m and v the bias-corrected averages of grad and grad^2 (Kingma and
    Ba 2015, algorithm 1).

    With sums M and V, m = c1 M and v = c2^2 V, so the step is alpha c1 / c2 * M / (sqrt(V) + epsilon / c2): the bias
    correction costs two numbers a step.
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

    def update(self) -> None:
        m, v = self.averages["m"], self.averages["v"]
        descend_adam(self.theta, self.grad, m.total, v.total, m.factor, v.factor, self.rate, self.epsilon, self.wrong)


@compiled
def descend_adam(
    theta: Array, grad: Array, m: Array, v: Array, beta1: Array, beta2: Array, rate: Array, epsilon: Array, wrong: Array
) -> None:
    """theta, grad, m, v `[K, P]`; wrong `[K]`; the others `[K, 1]`."""
    for k in range(len(theta)):
        odd = False
        for i in range(theta.shape[1]):
            g = grad[k, i]
            odd |= g - g != 0
            m_i = m[k, i] * beta1[k, 0] + g
            v_i = v[k, i] * beta2[k, 0] + g * g
            m[k, i] = m_i
            v[k, i] = v_i
            theta[k, i] -= m_i / (np.sqrt(v_i) + epsilon[k, 0]) * rate[k, 0]
        wrong[k] = odd


class AdamW(Adam):
    """Adam, and W *= 1 - alpha weight_decay, decoupled from the gradient (Loshchilov and Hutter 2019)."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.shrink = np.ones_like(self.rate)

    def prepare(self, rates: Sequence[float]) -> None:
        super().prepare(rates)
        for model, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            self.shrink[model, 0] = 1 - rate * config.weight_decay

    def update(self) -> None:
        W = self.theta[:, : self.weights]
        np.multiply(W, self.shrink, out=W)
        super().update()


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "rmsprop": RmsProp,
    "adam": Adam,
    "adamw": AdamW,
}
