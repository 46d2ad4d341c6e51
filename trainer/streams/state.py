"""Where a run stands in its stream. The state travels in the checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainer.config import TrainConfig
from trainer.data import normalization
from trainer.data.normalization import Normalization
from trainer.layers.parameters import Array
from trainer.streams.drift import DriftState
from trainer.streams.portions import Form, Portion
from trainer.streams.records import PortionRecord, pack_records, short_digest, short_refusal, unpack_records
from trainer.streams.statistics import InputStatistics


@dataclass(frozen=True)
class Mix:
    """Which examples a portion is trained with. It is fixed when the portion's training begins; a change of the config
    during that training counts from the next portion on.
    """

    window: int
    replay_share: float
    portion_epochs: int
    forget_before: int
    match_labels: bool = False

    @classmethod
    def from_config(cls, config: TrainConfig) -> Mix:
        return cls(config.window, config.replay_share, config.portion_epochs, config.forget_before, config.match_labels)


@dataclass(frozen=True)
class StreamState:
    """Where a run stands in its stream.

    form: what all portions have in common; targets: the normalisation of their targets.
    statistics: of the inputs of the portions from number statistics_since on.
    portions: those that the run has seen, in the order of training. refused: `records.short_refusal` of each refusal
        that was reported.
    pending: the last portion was measured, and not trained on yet. mix: how the last portion is being trained on; None
        between two portions.
    drift: what the drift tests remember. fresh_metrics: metrics of the last portion, from before its training.
    recent: fresh error and number of examples of the last portions.
    trained_on: the number of examples that the latest train_error was measured on.
    """

    form: Form
    statistics: InputStatistics
    targets: Normalization
    statistics_since: int = 0
    portions: tuple[PortionRecord, ...] = ()
    refused: tuple[str, ...] = ()
    pending: bool = False
    mix: Mix | None = None
    drift: DriftState = field(default_factory=DriftState)
    fresh_metrics: dict[str, float] = field(default_factory=dict)
    recent: tuple[tuple[float, int], ...] = ()
    trained_on: int = 0

    def normalization(self, config: TrainConfig, statistics: InputStatistics) -> Normalization:
        """The normalisation of the inputs that the config asks for, by these statistics."""
        if not config.normalize_inputs:
            return normalization.identity(self.form.inputs)
        return statistics.normalization().clipped(config.clip_inputs)

    def as_json(self) -> dict[str, Any]:
        """All but the lists of portions and refusals, which `arrays` gives."""
        return {
            "form": dataclasses.asdict(self.form),
            "seen": self.statistics.as_json(),
            "seen_since": self.statistics_since,
            "targets": [self.targets.mean.tolist(), self.targets.deviation.tolist()],
            "pending": self.pending,
            "mix": self.mix and dataclasses.asdict(self.mix),
            "watch": self.drift.as_json(),
            "fresh": self.fresh_metrics,
            "recent": self.recent,
            "trained_on": self.trained_on,
        }

    def arrays(self) -> dict[str, Array]:
        """The lists of portions and refusals, packed."""
        return pack_records(self.portions, self.refused)

    @classmethod
    def from_json(cls, stored: dict[str, Any], arrays: Mapping[str, Array]) -> StreamState:
        """The state that `as_json` and `arrays` gave, or the JSON of an older checkpoint, which has the lists in it."""
        form = stored["form"] | {"names": tuple(stored["form"]["names"])}
        mean, deviation = (np.array(values, np.float64) for values in stored["targets"])
        portions, refused = _lists_in_json(stored) if "taken" in stored else unpack_records(arrays)
        return cls(
            form=Form(**form),
            statistics=InputStatistics.from_json(stored["seen"]),
            targets=Normalization(mean, deviation),
            statistics_since=stored["seen_since"],
            portions=portions,
            refused=refused,
            pending=stored["pending"],
            mix=stored["mix"] and Mix(**stored["mix"]),
            drift=DriftState.from_json(stored["watch"]),
            fresh_metrics=stored["fresh"],
            recent=tuple((error, size) for error, size in stored["recent"]),
            trained_on=stored["trained_on"],
        )


def _lists_in_json(stored: dict[str, Any]) -> tuple[tuple[PortionRecord, ...], tuple[str, ...]]:
    portions = (PortionRecord(name, short_digest(sha256), examples) for name, sha256, examples in stored["taken"])
    return tuple(portions), tuple(short_refusal(name, key) for name, key in stored["refused"])


def initial_state(portion: Portion, form: Form) -> StreamState:
    """The state of a run whose first portion has come, before anything is measured.

    The targets of the whole run are normalised as those of this portion: nothing is known of later ones.
    """
    targets = normalization.identity(len(form.names))
    if form.kind == "values":
        targets = normalization.fit(portion.Y)
    return StreamState(form, InputStatistics.empty(form.inputs), targets)
