"""A network of L layers: its shape, its parameters' layout, and the layers with their buffers, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.activations import ACTIVATIONS, Activation
from trainer.config import TrainConfig
from trainer.dense import Dense
from trainer.dropout import Dropout
from trainer.initializers import draw_weights, spread
from trainer.losses import LOSSES
from trainer.parameters import Array, Layout, Parameters, lay_out


class ShapeError(ValueError):
    """An array does not have the shape that a layer needs; says which layer and both shapes."""


@dataclass(frozen=True)
class Architecture:
    """n[0], n[1] .. n[L], the activation of each hidden layer, and the loss."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str

    @classmethod
    def of(cls, config: TrainConfig, inputs: int, outputs: int) -> Architecture:
        """The network that a config asks for, between n[0] inputs and n[L] outputs."""
        widths = config.widths()
        return cls((inputs, *widths, outputs), (config.activation,) * len(widths), "softmax")

    @property
    def depth(self) -> int:
        """L, the number of layers with weights."""
        return len(self.sizes) - 1

    def layout(self) -> Layout:
        """Where W1 .. WL `[n[l-1], n[l]]` and b1 .. bL `[1, n[l]]` live in the flat array."""
        layers = range(1, self.depth + 1)
        weights = [(f"W{layer}", (self.sizes[layer - 1], self.sizes[layer])) for layer in layers]
        return lay_out(weights + [(f"b{layer}", (1, self.sizes[layer])) for layer in layers])

    def first_weights(self, initializer: str, rng: np.random.Generator) -> dict[str, Array]:
        """W1 .. WL of one model, drawn in that order."""
        functions = (*self.activations, "linear")
        return {
            f"W{layer}": draw_weights(rng, shape, spread(initializer, functions[layer - 1], shape[0]))
            for layer in range(1, self.depth + 1)
            for shape in [(self.sizes[layer - 1], self.sizes[layer])]
        }


class Network:
    """The layers of one architecture for batches of one size, over parameters that other sizes may share.

    With a model axis in the parameters it is K networks that run side by side. `sources` (one bit generator
    per model) is needed for dropout, and makes the network one for training; without it nothing is dropped.
    """

    def __init__(
        self,
        shape: Architecture,
        parameters: Parameters,
        batch: int,
        sources: Sequence[np.random.BitGenerator] = (),
    ) -> None:
        self.shape = shape
        self.parameters = parameters
        self.layers: list[Dense | Activation | Dropout] = []
        self.denses: list[Dense] = []
        self.dropouts: list[Dropout] = []
        for layer in range(1, shape.depth + 1):
            dense = self._dense(layer, batch)
            self.denses.append(dense)
            self.layers.append(dense)
            if layer == shape.depth:
                break
            activation = ACTIVATIONS[shape.activations[layer - 1]](dense.Z)
            self.layers.append(activation)
            if sources:
                self.dropouts.append(Dropout(activation.A, sources))
                self.layers.append(self.dropouts[-1])
        self.loss = LOSSES[shape.loss](dense.Z)

    def _dense(self, layer: int, batch: int) -> Dense:
        W, b = self.parameters.values[f"W{layer}"], self.parameters.values[f"b{layer}"]
        dW, db = self.parameters.grads[f"W{layer}"], self.parameters.grads[f"b{layer}"]
        return Dense(W, b, dW, db, batch, first=layer == 1, last=layer == self.shape.depth)

    def forward(self, X: Array) -> Array:
        """Z[L] `[*lead, B, n[L]]` of a batch X `[*lead, B, n[0]]` or `[B, n[0]]`.

        Raises:
            ShapeError: X has another number of features than W1.
        """
        if X.shape[-1] != self.shape.sizes[0]:
            wanted = self.parameters.values["W1"].shape
            raise ShapeError(f"Layer 1: X has shape {X.shape}, which does not fit W1 of shape {wanted}.")
        A = X
        for layer in self.layers:
            A = layer.forward(A)
        return A

    def backward(self, Y: Array) -> None:
        """All gradients of the mean loss of the batch last seen, against targets Y `[*lead, B, n[L]]`."""
        dA: Array | None = self.loss.backward(Y)
        for layer in reversed(self.layers):
            assert dA is not None
            dA = layer.backward(dA)

    def gradients(self, X: Array, Y: Array) -> None:
        """Forward, then backward: leaves the gradient of this batch's mean loss in the parameters' grad."""
        self.loss.forward(self.forward(X))
        self.backward(Y)

    def keep(self, keep_probs: Sequence[float]) -> None:
        """Sets the keep_prob of each model in all dropout layers."""
        for dropout in self.dropouts:
            dropout.keep(keep_probs)

    def first_not_finite(self, model: int) -> str | None:
        """The layer in which a model's last forward or backward first gave NaN or an infinity, if any did."""
        for layer, dense in enumerate(self.denses, 1):
            if not np.isfinite(dense.Z[model]).all():
                return f"layer {layer}, forward"
        for layer, dense in reversed(list(enumerate(self.denses, 1))):
            if not np.isfinite(dense.dW[model]).all():
                return f"layer {layer}, backward"
        return None

    def cost(self, X: Array, Y: Array) -> Array:
        """The mean loss of this batch, per model `[*lead]`, without the L2 term."""
        mean: Array = self.loss.costs(self.forward(X), Y).mean(axis=-1)
        return mean
