"""What a portion of a stream is trained with: the newest ones, and a share of replayed older examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.normalization import Normalization
from trainer.data.preparation import Data, Part
from trainer.layers.parameters import Array
from trainer.streams.state import Mix, StreamState, Taken
from trainer.streams.stream import Stream


def of_arrays(state: StreamState, X: Array, Y: Array, inputs: Normalization, passes: int = 1) -> Data:
    """X `[m, n]` (a missing value becomes the mean, 0) and Y `[m, C]` as data."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is told by the outputs
        whole = Part(np.nan_to_num(inputs.apply(X)), state.targets.apply(Y), np.arange(len(X)))
    nothing = whole.only(np.arange(0))
    parts = {"train": whole} | dict.fromkeys(("dev", "test", "train_dev", "synthetic"), nothing)
    return Data(state.form.kind, parts, inputs, state.targets, state.form.names, passes=passes)


def mixed(stream: Stream, state: StreamState, mix: Mix, inputs: Normalization, seed: int) -> Data:
    """What the last portion is trained with: the window that ends with it, and a share of replayed older examples.

    Replayed are random examples of the portions from `forget_before` on that are older than the window, drawn anew for
    each portion from (seed, its number): replay_share of all examples, or as many as there are; with match_labels, of
    each class its share since the last alarm.
    """
    k = len(state.taken)
    oldest = min(mix.forget_before, k - 1)
    start = oldest if mix.window == 0 else max(oldest, k - mix.window)
    parts = [(portion.X, portion.Y) for portion in stream.portions(state.taken[start:])]
    if mix.replay_share and start > oldest:
        wanted = round(mix.replay_share / (1 - mix.replay_share) * sum(len(X) for X, _ in parts))
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(4, k))))
        older = state.taken[oldest:start]
        order = rng.permutation(sum(one.examples for one in older))
        matching = mix.match_labels and state.form.kind == "classes"
        rows = _matching(stream, state, older, order, wanted) if matching else order[:wanted]
        parts += _replayed(stream, older, np.sort(rows))
    X, Y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return of_arrays(state, X, Y, inputs, mix.portion_epochs)


def _matching(stream: Stream, state: StreamState, older: Sequence[Taken], order: Array, wanted: int) -> Array:
    """The first rows in this order that have, of each class, its share of what is wanted, or as many as there are.

    So p(y) of what is replayed is that of now, p(x|y) that of all examples: right where only p(y) has changed.
    """
    counts = np.array(state.watch.labels)
    quotas = np.rint(counts / counts.sum() * wanted).astype(np.intp)
    classes = np.concatenate([stream.portions([one])[0].Y.argmax(axis=1) for one in older])[order]
    return np.concatenate([order[classes == number][:quota] for number, quota in enumerate(quotas)])


def _replayed(stream: Stream, older: Sequence[Taken], rows: Array) -> list[tuple[Array, Array]]:
    """X and Y of these rows, sorted, of the older portions; read are only those that one is of."""
    ends = np.cumsum([one.examples for one in older])
    of = np.searchsorted(ends, rows, side="right")
    found = []
    for number in np.unique(of):
        (portion,) = stream.portions([older[number]])
        own = rows[of == number] - (ends[number] - older[number].examples)
        found.append((portion.X[own], portion.Y[own]))
    return found
