"""Learning-rate decay: the learning rate alpha falls with the epochs, after a warm-up. Each schedule is one function.

The course's last schedule, by hand, is a panda. To add one: a function here and its name in SCHEDULES; then the name in
`sturgeon.training.Schedule`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol


class ScheduleFields(Protocol):
    """The fields of `TrainConfig` that the schedules read."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def decay(self) -> float: ...
    @property
    def decay_epochs(self) -> float: ...
    @property
    def warmup_epochs(self) -> float: ...
    @property
    def epochs(self) -> int: ...


def learning_rate(config: ScheduleFields, epochs: float, step: float) -> float:
    """alpha after this many epochs (whole and part) of a run whose step is this part of an epoch.

    alpha is learning_rate, times the schedule's factor, times, in the first warmup_epochs, a line that rises to 1.
    """
    warm = 1.0
    if config.warmup_epochs > 0:
        warm = min(1.0, (epochs + step) / config.warmup_epochs)
    return config.learning_rate * warm * SCHEDULES[config.schedule](config, epochs)


def constant(_config: ScheduleFields, _t: float) -> float:
    """1: no decay."""
    return 1.0


def inverse_time(config: ScheduleFields, t: float) -> float:
    """1 / (1 + decay t)."""
    return 1 / (1 + config.decay * t)


def exponential(config: ScheduleFields, t: float) -> float:
    """(1 - decay)^t, at least 0."""
    return math.pow(max(0.0, 1 - config.decay), t)


def inverse_sqrt(config: ScheduleFields, t: float) -> float:
    """1 / sqrt(1 + decay t): the course's k / sqrt(t), with k^2 = 1 / decay and a start at 1."""
    return 1 / math.sqrt(1 + config.decay * t)


def staircase(config: ScheduleFields, t: float) -> float:
    """(1 - decay)^stairs, where a stair is decay_epochs long and whole stairs count."""
    return math.pow(max(0.0, 1 - config.decay), math.floor(t / config.decay_epochs))


def cosine(config: ScheduleFields, t: float) -> float:
    """(1 + cos(pi t / epochs)) / 2 (Loshchilov and Hutter 2017, without restarts)."""
    return (1 + math.cos(math.pi * min(1.0, t / config.epochs))) / 2


SCHEDULES: dict[str, Callable[[ScheduleFields, float], float]] = {
    "constant": constant,
    "inverse_time": inverse_time,
    "exponential": exponential,
    "inverse_sqrt": inverse_sqrt,
    "staircase": staircase,
    "cosine": cosine,
}
"""By name: the factor of alpha after t epochs (whole and part)."""
