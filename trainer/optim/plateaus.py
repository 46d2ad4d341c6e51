"""Plateaus: long stretches in which the loss hardly falls, near saddle points or when alpha is too small or large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.optim.averages import Average

SMOOTHING = 0.5
LEAST_GAIN = 0.01


@dataclass
class Plateau:
    """Epochs since a model's smoothed loss last fell by one percent below its best."""

    best: float = float("inf")
    epochs: int = 0

    def update(self, smoothed_loss: float) -> int:
        """Counts one more epoch, with this smoothed loss; returns the epochs without progress."""
        if smoothed_loss < self.best * (1 - LEAST_GAIN):
            self.best, self.epochs = smoothed_loss, 0
        else:
            self.epochs += 1
        return self.epochs


def smooth(average: Average, losses: list[float]) -> list[float]:
    """The exponentially weighted average of each model's loss `[K]`, bias-corrected; average: of sums `[K, 1]`."""
    average.advance([SMOOTHING] * len(losses))
    average.add(np.array(losses)[:, None])
    return [float(average.total[k, 0]) * average.weight(k, corrected=True) for k in range(len(losses))]
