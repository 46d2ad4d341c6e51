"""A network of L layers: its architecture, and its layers in order, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from trainer.layers.activations import ACTIVATIONS, Activation
from trainer.layers.batchnorm import BatchNorm
from trainer.layers.dense import Dense
from trainer.layers.dropout import Dropout
from trainer.layers.initializers import draw_weights, weight_deviation
from trainer.layers.losses import LOSSES
from trainer.layers.parameters import Array, Layout, Parameters, lay_out


class ShapeError(ValueError):
    """An array does not have the shape that a layer needs; the message names the layer and both shapes."""


@dataclass(frozen=True)
class Architecture:
    """n[0], n[1] .. n[L], the activation of each hidden layer, the loss, and whether Z is batch-normalised."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    batch_norm: bool = False

    @property
    def depth(self) -> int:
        """L, the number of layers with weights."""
        return len(self.sizes) - 1

    def shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name and shape of W `[n[l-1], n[l]]` and b `[1, n[l]]` of each layer; with batch norm gamma and beta instead
        of b.
        """
        for layer in range(1, self.depth + 1):
            yield f"W{layer}", (self.sizes[layer - 1], self.sizes[layer])
            normalized = self.batch_norm and layer < self.depth
            for name in ("gamma", "beta") if normalized else ("b",):
                yield f"{name}{layer}", (1, self.sizes[layer])

    def parameters(self, lead: tuple[int, ...] = (), dtype: DTypeLike = np.float32) -> Parameters:
        """Parameters of `lead` models of this shape: all 0, but gammas and running variances are 1."""
        hidden = range(1, self.depth) if self.batch_norm else ()
        statistics = lay_out((f"{name}{i}", (1, self.sizes[i])) for i in hidden for name in ("mean", "variance"))
        made = Parameters(self.layout(), lead, dtype, statistics)
        for layer in hidden:
            made.values[f"gamma{layer}"][...] = 1
            made.running[f"variance{layer}"][...] = 1
        return made

    def layout(self) -> Layout:
        """The position of each parameter in the flat array."""
        return lay_out(self.shapes())

    def first_weights(self, initializer: str, scale: float, rng: np.random.Generator) -> dict[str, Array]:
        """W1 .. WL of one model, drawn in that order; scale: that of the initializer "normal"."""
        drawn = {}
        for layer, activation in enumerate((*self.activations, "linear"), 1):
            shape = (self.sizes[layer - 1], self.sizes[layer])
            deviation = weight_deviation(initializer, activation, shape[0], scale)
            drawn[f"W{layer}"] = draw_weights(rng, shape, deviation)
        return drawn


class Network:
    """The layers of one architecture for batches of one size. Networks for other sizes may share its parameters.

    With a model axis in the parameters it is K networks that run side by side. training: batch norm uses the batch's
    own mean and variance. sources: one bit generator per model for dropout; without them nothing is dropped.
    """

    def __init__(
        self,
        shape: Architecture,
        parameters: Parameters,
        batch: int,
        *,
        training: bool = False,
        sources: Sequence[np.random.BitGenerator] = (),
    ) -> None:
        self.shape = shape
        self.parameters = parameters
        self.layers: list[Dense | BatchNorm | Activation | Dropout] = []
        self.denses: list[Dense] = []
        self.dropouts: list[Dropout] = []
        for layer in range(1, shape.depth + 1):
            dense = self._dense(layer, batch)
            self.denses.append(dense)
            self.layers.append(dense)
            if layer < shape.depth:
                self._add_hidden(layer, dense.Z, sources, training=training)
        self.loss = LOSSES[shape.loss](dense.Z)

    def _dense(self, layer: int, batch: int) -> Dense:
        values, grads = self.parameters.values, self.parameters.grads
        W, b = f"W{layer}", f"b{layer}"
        return Dense(
            values[W], values.get(b), grads[W], grads.get(b), batch, first=layer == 1, last=layer == self.shape.depth
        )

    def _add_hidden(self, layer: int, Z: Array, sources: Sequence[np.random.BitGenerator], *, training: bool) -> None:
        """Adds the layers that follow a hidden layer's Z: batch norm, g, dropout."""
        if self.shape.batch_norm:
            self.layers.append(BatchNorm(Z, self.parameters, layer, training=training))
        activation = ACTIVATIONS[self.shape.activations[layer - 1]](Z)
        self.layers.append(activation)
        if sources:
            self.dropouts.append(Dropout(activation.A, sources))
            self.layers.append(self.dropouts[-1])

    def set_keep_probs(self, keep_probs: Sequence[Sequence[float]]) -> None:
        """Sets the keep_prob of each hidden layer; keep_probs: a list for each model."""
        for layer, dropout in enumerate(self.dropouts):
            dropout.set_keep_probs([probs[layer] for probs in keep_probs])

    def forward(self, X: Array) -> Array:
        """Z[L] `[*lead, B, n[L]]` of a batch X `[*lead, B, n[0]]` or `[B, n[0]]`.

        Raises: ShapeError (X has another number of features than W1).
        """
        if X.shape[-1] != self.shape.sizes[0]:
            wanted = self.parameters.values["W1"].shape
            raise ShapeError(f"Layer 1: X has shape {X.shape}, which does not fit W1 of shape {wanted}.")
        A = X
        for layer in self.layers:
            A = layer.forward(A)
        return A

    def backward(self, Y: Array) -> None:
        """All gradients of the mean loss of the last forward's batch, for targets Y `[*lead, B, n[L]]`."""
        dA: Array | None = self.loss.backward(Y)
        for layer in reversed(self.layers):
            assert dA is not None
            dA = layer.backward(dA)

    def gradients(self, X: Array, Y: Array) -> None:
        """Forward, then backward: writes the gradient of this batch's mean loss into the parameters' grad."""
        self.loss.forward(self.forward(X))
        self.backward(Y)

    def cost(self, X: Array, Y: Array) -> Array:
        """The mean loss of this batch, per model `[*lead]`, without the L2 term."""
        mean: Array = self.loss.costs(self.forward(X), Y).mean(axis=-1)
        return mean

    def first_not_finite(self, model: int) -> str | None:
        """The layer in which a model's last forward or backward first gave NaN or an infinity, if any did."""
        for layer, dense in enumerate(self.denses, 1):
            if not np.isfinite(dense.Z[model]).all():
                return f"layer {layer}, forward"
        for layer, dense in reversed(list(enumerate(self.denses, 1))):
            if not np.isfinite(dense.dW[model]).all():
                return f"layer {layer}, backward"
        return None
