"""Learning-rate decay: alpha falls with the epochs. By hand is the last of the course's ways: that is a
panda.
"""

from __future__ import annotations

import math

from trainer.config import TrainConfig


def learning_rate(config: TrainConfig, epochs: float, step: float) -> float:
    """alpha after this many epochs (whole and part), in a run whose step is this part of an epoch.

    With d = decay and t = epochs, alpha_0 is multiplied by
        inverse_time   1 / (1 + d t)                      exponential    (1 - d)^t, at least 0
        inverse_sqrt   1 / sqrt(1 + d t), the course's k / sqrt(t) with k^2 = 1 / d and a start at 1
        staircase      (1 - d)^(whole stairs of decay_epochs)
        cosine         (1 + cos(pi t / all epochs)) / 2   (Loshchilov and Hutter 2017, without restarts)
    and, in the first warmup_epochs, by a line that reaches 1 at their end.
    """
    warm = 1.0
    if config.warmup_epochs > 0:
        warm = min(1.0, (epochs + step) / config.warmup_epochs)
    return config.learning_rate * warm * _factor(config, epochs)


def _factor(config: TrainConfig, t: float) -> float:
    d = config.decay
    match config.schedule:
        case "inverse_time":
            return 1 / (1 + d * t)
        case "exponential":
            return math.pow(max(0.0, 1 - d), t)
        case "inverse_sqrt":
            return 1 / math.sqrt(1 + d * t)
        case "staircase":
            return math.pow(max(0.0, 1 - d), math.floor(t / config.decay_epochs))
        case "cosine":
            return (1 + math.cos(math.pi * min(1.0, t / config.epochs))) / 2
    return 1.0
