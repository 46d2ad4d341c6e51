"""The metrics of a portion's examples alone: what its inputs and labels are like, whatever the model."""

from __future__ import annotations

import numpy as np

from trainer.layers.parameters import Array
from trainer.streams.state import StreamState

MOST_SHARES = 100
"""Shares are reported of the first so many labels."""


def input_metrics(X: Array, state: StreamState) -> dict[str, float]:
    """Metrics of the inputs X `[m, n]`, over all features together.

    unseen_share: the share of values outside of the ranges of the portions so far.
    """
    missing = np.isnan(X)
    present = X[~missing]
    if not len(present):
        return {"missing_share": 1.0, "unseen_share": 0.0}
    unseen = ((state.statistics.low > X) | (state.statistics.high < X)) if state.portions else missing
    return {
        "input_mean": float(present.mean()),
        "input_variance": float(present.var()),
        "input_min": float(present.min()),
        "input_max": float(present.max()),
        "missing_share": float(missing.mean()),
        "unseen_share": float((unseen & ~missing).sum() / len(present)),
    }


def label_share_metrics(labels: tuple[float, ...], m: int) -> dict[str, float]:
    """The share of each label among m examples; labels: how often each occurs."""
    return {f"label_share_{number}": count / m for number, count in enumerate(labels[:MOST_SHARES])}
