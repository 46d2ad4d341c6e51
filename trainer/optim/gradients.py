"""The size of gradients: norms per layer, alarms when they vanish or explode, and clipping."""

from __future__ import annotations

import numpy as np

from trainer.layers.parameters import Array, Parameters

VANISHING = 1e-4
EXPLODING = 100.0


def clip(grad: Array, squares: Array, limits: Array) -> None:
    """Scales each model's whole gradient down to its limit (0: no limit); its direction stays (Pascanu et al. 2013).

    grad `[K, P]`, in place; squares `[K, 1, 1]`: a buffer for the sums of squares; limits `[K, 1]`.
    """
    np.matmul(grad[:, None, :], grad[:, :, None], out=squares)
    norms = np.sqrt(squares[:, 0])
    factors = np.where((limits > 0) & (norms > limits), limits / norms, 1)
    np.multiply(grad, factors.astype(grad.dtype), out=grad)


def layer_norms(parameters: Parameters, depth: int) -> tuple[Array, Array]:
    """Norms of dW[l] and of W[l] for l = 1 .. L, per model: two arrays `[K, L]`."""
    layers = [f"W{layer}" for layer in range(1, depth + 1)]
    gradients = np.stack([_norm(parameters.grads[name]) for name in layers], axis=-1)
    return gradients, np.stack([_norm(parameters.values[name]) for name in layers], axis=-1)


def _norm(W: Array) -> Array:
    norms: Array = np.sqrt(np.square(W).sum(axis=(-1, -2)))
    return norms


def alarms(gradients: Array, weights: Array) -> tuple[str, ...]:
    """Sentences about one model's norms of dW and W, `[L]` each. Frozen layers, whose dW is 0, do not count.

    The pace of a layer is ||dW|| / ||W||. Gradients vanish if one layer's pace is a ten-thousandth of another's; they
    explode if a step of size 0.01 would replace a layer's W.
    """
    with np.errstate(all="ignore"):
        pace = gradients / weights
    learning = np.flatnonzero(gradients > 0)
    if not len(learning):
        return ()
    slow, fast = learning[pace[learning].argmin()], learning[pace[learning].argmax()]
    sentences = []
    if pace[slow] < VANISHING * pace[fast]:
        slower = f"{pace[fast] / pace[slow]:.0e} times slower than layer {fast + 1}"
        sentences.append(f"Gradients vanish: layer {slow + 1} learns {slower}.")
    if not pace[fast] < EXPLODING:
        sentences.append(f"Gradients explode: in layer {fast + 1} dW is {pace[fast]:.0e} times as large as W.")
    return tuple(sentences)
