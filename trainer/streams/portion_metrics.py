"""What a run tells of a portion's examples, apart from its model."""

from __future__ import annotations

import numpy as np

from trainer.layers.parameters import Array
from trainer.streams.state import StreamState

MOST_SHARES = 100
"""Label shares are reported of so many labels at most."""


def inputs_told(X: Array, state: StreamState) -> dict[str, float]:
    """What the inputs X `[m, n]` are like, all features together; unseen are values outside of the ranges so far."""
    missing = np.isnan(X)
    there = X[~missing]
    if not len(there):
        return {"missing_share": 1.0, "unseen_share": 0.0}
    unseen = ((state.seen.low > X) | (state.seen.high < X)) if state.taken else missing
    return {
        "input_mean": float(there.mean()),
        "input_variance": float(there.var()),
        "input_min": float(there.min()),
        "input_max": float(there.max()),
        "missing_share": float(missing.mean()),
        "unseen_share": float((unseen & ~missing).sum() / len(there)),
    }


def shares_told(labels: tuple[float, ...], m: int) -> dict[str, float]:
    """The share of each label among m examples."""
    return {f"label_share_{number}": count / m for number, count in enumerate(labels[:MOST_SHARES])}
