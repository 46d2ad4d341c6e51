"""Where a run stands in its stream; it travels in the checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from trainer.config import TrainConfig
from trainer.data import normalization
from trainer.data.normalization import Normalization
from trainer.streams.drift import Watch
from trainer.streams.portions import Form, Portion
from trainer.streams.statistics import InputStatistics


class Taken(NamedTuple):
    """A portion that the run has seen, and how many examples it has."""

    name: str
    sha256: str
    examples: int


@dataclass(frozen=True)
class Mix:
    """What a portion is trained with: fixed when its training begins, whatever the run is told on its way."""

    window: int
    replay_share: float
    portion_epochs: int
    forget_before: int
    match_labels: bool = False

    @classmethod
    def of(cls, config: TrainConfig) -> Mix:
        return cls(config.window, config.replay_share, config.portion_epochs, config.forget_before, config.match_labels)


@dataclass(frozen=True)
class StreamState:
    """Where a run stands in its stream; it travels in the checkpoint.

    seen: the inputs of the portions from number seen_since on. taken: in the order of training. pending: the last of
    them was evaluated, and not trained on. mix: it is being trained on in this way; None between two portions. fresh:
    metrics of the last portion, from before its training. recent: fresh error and size of the last portions.
    trained_on: so many examples were measured for train_error.
    """

    form: Form
    seen: InputStatistics
    targets: Normalization
    seen_since: int = 0
    taken: tuple[Taken, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    pending: bool = False
    mix: Mix | None = None
    watch: Watch = field(default_factory=Watch)
    fresh: dict[str, float] = field(default_factory=dict)
    recent: tuple[tuple[float, int], ...] = ()
    trained_on: int = 0

    def normalization(self, config: TrainConfig, seen: InputStatistics) -> Normalization:
        """Of the inputs, by what was seen."""
        if not config.normalize_inputs:
            return normalization.identity(self.form.inputs)
        return seen.normalization().clipped(config.clip_inputs)

    def as_json(self) -> dict[str, Any]:
        return {
            "form": dataclasses.asdict(self.form),
            "seen": self.seen.as_json(),
            "seen_since": self.seen_since,
            "targets": [self.targets.mean.tolist(), self.targets.deviation.tolist()],
            "taken": self.taken,
            "refused": self.refused,
            "pending": self.pending,
            "mix": self.mix and dataclasses.asdict(self.mix),
            "watch": self.watch.as_json(),
            "fresh": self.fresh,
            "recent": self.recent,
            "trained_on": self.trained_on,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> StreamState:
        form = told["form"] | {"names": tuple(told["form"]["names"])}
        mean, deviation = (np.array(values, np.float64) for values in told["targets"])
        return cls(
            Form(**form),
            InputStatistics.from_json(told["seen"]),
            Normalization(mean, deviation),
            told["seen_since"],
            tuple(Taken(*one) for one in told["taken"]),
            tuple((name, key) for name, key in told["refused"]),
            told["pending"],
            told["mix"] and Mix(**told["mix"]),
            Watch.from_json(told["watch"]),
            told["fresh"],
            tuple((error, size) for error, size in told["recent"]),
            told["trained_on"],
        )


def begun(portion: Portion, form: Form) -> StreamState:
    """The state of a run whose first portion has come; nothing else is known: normalisation never looks ahead."""
    targets = normalization.identity(len(form.names))
    if form.kind == "values":
        targets = normalization.fit(portion.Y)
    return StreamState(form, InputStatistics.nothing(form.inputs), targets)
