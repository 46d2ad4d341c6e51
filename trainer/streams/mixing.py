"""The examples that a portion of a stream is trained with: the newest portions, and a share of replayed older ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.normalization import Normalization
from trainer.data.preparation import Data, Part
from trainer.layers.parameters import Array
from trainer.streams.records import PortionRecord
from trainer.streams.state import Mix, StreamState
from trainer.streams.stream import Stream


def data_from_arrays(state: StreamState, X: Array, Y: Array, inputs: Normalization, passes: int = 1) -> Data:
    """Data whose training part is X `[m, n]` and Y `[m, C]`; a missing value becomes the feature's mean, 0."""
    with np.errstate(over="ignore"):  # what float32 cannot hold shows in the model's outputs
        whole = Part(np.nan_to_num(inputs.apply(X)), state.targets.apply(Y), np.arange(len(X)))
    nothing = whole.subset(np.arange(0))
    parts = {"train": whole} | dict.fromkeys(("dev", "test", "train_dev", "synthetic"), nothing)
    return Data(state.form.kind, parts, inputs, state.targets, state.form.names, passes=passes)


def mixed_data(stream: Stream, state: StreamState, mix: Mix, inputs: Normalization, seed: int) -> Data:
    """The data that the last portion is trained with: the window that ends with it, and replayed older examples.

    Replayed are random examples older than the window, of the portions from `forget_before` on. They make up
    replay_share of all examples, or fewer if there are not so many. With match_labels each class has the share among
    them that it has had since the last alarm. The draw depends on the seed and the portion's number alone.
    """
    k = len(state.portions)
    oldest = min(mix.forget_before, k - 1)
    start = oldest if mix.window == 0 else max(oldest, k - mix.window)
    parts = [(portion.X, portion.Y) for portion in stream.portions(state.portions[start:])]
    if mix.replay_share and start > oldest:
        wanted = round(mix.replay_share / (1 - mix.replay_share) * sum(len(X) for X, _ in parts))
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(4, k))))
        older = state.portions[oldest:start]
        order = rng.permutation(sum(record.examples for record in older))
        matching = mix.match_labels and state.form.kind == "classes"
        rows = _rows_with_label_shares(stream, state, older, order, wanted) if matching else order[:wanted]
        parts += _examples_at(stream, older, np.sort(rows))
    X, Y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return data_from_arrays(state, X, Y, inputs, mix.portion_epochs)


def _rows_with_label_shares(
    stream: Stream, state: StreamState, older: Sequence[PortionRecord], order: Array, wanted: int
) -> Array:
    """The first rows in this order that hold each class in its present share of `wanted`, or as many as there are.

    So p(y) of the replayed examples is that of now, and p(x|y) that of all examples: right if only p(y) has changed.
    """
    counts = np.array(state.drift.labels)
    quotas = np.rint(counts / counts.sum() * wanted).astype(np.intp)
    classes = np.concatenate([stream.portions([record])[0].Y.argmax(axis=1) for record in older])[order]
    return np.concatenate([order[classes == number][:quota] for number, quota in enumerate(quotas)])


def _examples_at(stream: Stream, older: Sequence[PortionRecord], rows: Array) -> list[tuple[Array, Array]]:
    """X and Y of these rows, which are sorted, of the older portions. Reads only the portions that have one of them."""
    ends = np.cumsum([record.examples for record in older])
    portion_of_row = np.searchsorted(ends, rows, side="right")
    examples = []
    for number in np.unique(portion_of_row):
        (portion,) = stream.portions([older[number]])
        own = rows[portion_of_row == number] - (ends[number] - older[number].examples)
        examples.append((portion.X[own], portion.Y[own]))
    return examples
