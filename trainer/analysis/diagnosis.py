"""Bias, variance and data mismatch: the gaps between errors, and the course's advice for the widest of them.

    known error (human or best known)
        avoidable bias     = train - known
    training error
        variance           = train_dev - train    (dev - train without a train-dev part)
    train-dev error
        data mismatch      = dev - train_dev
    dev error
        fit to the dev set = test - dev
    test error

Pure functions of numbers. Errors are shares, 0 .. 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

ADVICE = {
    "avoidable bias": (
        "Train longer, or with a better optimiser (momentum, RMSprop, Adam).",
        "Take a larger network.",
        "Try another architecture or other hyperparameters; lower l2, raise keep_prob.",
    ),
    "variance": (
        "Get more training examples, or make them (augmentation).",
        "Regularise: more l2, a lower keep_prob, batch_norm.",
        "Try another architecture or other hyperparameters.",
    ),
    "data mismatch": (
        "Look by hand at how the dev examples differ from the training examples.",
        "Make the training examples more like them, or collect such ones.",
    ),
    "fit to the dev set": ("Get a larger dev set: the search has fitted this one.",),
}


NAME_OF = {
    "known": "avoidable bias",
    "train": "variance",
    "train_dev": "data mismatch",
    "dev": "fit to the dev set",
}
"""The name of the gap between each error and the next."""


@dataclass(frozen=True)
class Gap:
    """One row of the table: the difference of two errors, and its uncertainty (a standard error)."""

    name: str
    between: tuple[str, str]
    size: float
    uncertainty: float

    @property
    def clear(self) -> bool:
        """Whether the gap is more than two standard errors wide."""
        return self.size > 2 * self.uncertainty


@dataclass(frozen=True)
class Diagnosis:
    """The gaps in the order of the table, and advice for the widest clear one (none if no gap is clear)."""

    gaps: tuple[Gap, ...]
    widest: str | None
    advice: tuple[str, ...]


def diagnose(errors: Mapping[str, float], sizes: Mapping[str, int], known_error: float | None = None) -> Diagnosis:
    """The table for errors by part (train, train_dev, dev, test; missing ones are left out).

    sizes: the number of examples m of each error e, for its standard error sqrt(e (1 - e) / m). known_error: human or
    best known error; without one it counts as 0, so that all of the training error is avoidable.
    """
    chain = [("known", 0.0 if known_error is None else known_error, 0.0)]
    chain += [
        (part, errors[part], _standard_error(errors[part], sizes[part]))
        for part in ("train", "train_dev", "dev", "test")
        if part in errors
    ]
    gaps = tuple(
        Gap(NAME_OF[above], (above, below), high - low, math.hypot(spread, other))
        for (above, low, spread), (below, high, other) in itertools.pairwise(chain)
    )
    clear = [gap for gap in gaps if gap.clear]
    widest = max(clear, key=lambda gap: gap.size).name if clear else None
    return Diagnosis(gaps, widest, ADVICE[widest] if widest else ())


def _standard_error(error: float, m: int) -> float:
    share = min(1.0, max(0.0, error))
    # At least one example more or less: even a part without errors is not certain.
    return max(math.sqrt(share * (1 - share) / m), 1 / m)
