"""Measuring a model on a portion of a stream that it has not trained on, and testing that portion for drift."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.analysis.error_analysis import Predictions
from trainer.analysis.evaluation import Evaluator, Score
from trainer.checkpoint import Checkpoint
from trainer.data.images import image_shape, small_pictures
from trainer.data.normalization import Normalization
from trainer.data.preparation import Data
from trainer.layers.parameters import Array
from trainer.streams.drift import REFERENCE, DriftState, NewPortion, Verdict, detect_drift
from trainer.streams.mixing import data_from_arrays
from trainer.streams.portion_metrics import input_metrics, label_share_metrics
from trainer.streams.portions import Portion
from trainer.streams.records import PortionRecord, short_digest
from trainer.streams.state import StreamState
from trainer.streams.statistics import InputStatistics
from trainer.streams.stream import Stream
from trainer.training import MeasuredPortion

RECENT = 10
"""recent_error is the mean fresh error of so many portions."""


@dataclass(frozen=True)
class Measurement:
    """A model's measurement on a new portion.

    model: the same weights; the stream's state now has the portion. metrics: the portion's. measured: what the error
    analysis needs of it. not_finite: the layer in which the outputs cease to be finite, None if they are finite.
    """

    model: Checkpoint
    metrics: dict[str, float]
    verdict: Verdict
    measured: MeasuredPortion
    not_finite: str | None


def measure_portion(model: Checkpoint, stream: Stream, portion: Portion) -> Measurement:
    """Measures the model on the next portion; nothing is trained."""
    state = _state(model)
    statistics = state.statistics.including(portion.X)
    # The first portion is normalised by its own statistics: there is nothing before it.
    inputs = model.normalization if state.portions else state.normalization(model.config, statistics)
    score, outputs = _score(model, data_from_arrays(state, portion.X, portion.Y, inputs))
    error, loss = float(score.error[0]), float(score.loss[0])
    drift, verdict = _tested_for_drift(state, stream, portion, error, inputs)
    recent = (*state.recent, (error, len(portion)))[-RECENT:]
    metrics = {"fresh_error": error, "fresh_loss": loss, "dev_error": error, "dev_loss": loss}
    metrics |= input_metrics(portion.X, state) | label_share_metrics(_label_counts(state, portion), len(portion))
    metrics |= verdict.metrics()
    if verdict.alarms and state.form.kind == "classes":
        metrics |= _adapted_metrics(model, portion)
    metrics |= _recent_metrics(recent)
    metrics |= {"portion": float(len(state.portions)), "portion_examples": float(len(portion))}
    after = dataclasses.replace(
        state,
        statistics=statistics,
        portions=(*state.portions, PortionRecord(portion.name, short_digest(portion.sha256), len(portion))),
        pending=True,
        drift=drift,
        fresh_metrics=metrics,
        recent=recent,
    )
    not_finite = score.not_finite.get(0) or (None if math.isfinite(loss + error) else "the loss")
    measured = _measured(state, portion, outputs if not_finite is None else None)
    changed = dataclasses.replace(model, stream=after, normalization=inputs)
    return Measurement(changed, metrics, verdict, measured, not_finite)


def finite_on_last_portion(model: Checkpoint, stream: Stream) -> bool:
    """Whether the model's outputs on the last portion that it has seen are finite. If they are, and those on a new
    portion are not, the fault is the new portion's."""
    state = _state(model)
    last = stream.portions(state.portions[-1:])
    if not last:
        return False
    score, _ = _score(model, data_from_arrays(state, last[0].X, last[0].Y, model.normalization))
    return not score.not_finite and math.isfinite(float(score.loss[0]))


def _state(model: Checkpoint) -> StreamState:
    assert model.stream is not None
    return model.stream


def _tested_for_drift(
    state: StreamState, stream: Stream, portion: Portion, error: float, inputs: Normalization
) -> tuple[DriftState, Verdict]:
    unclipped = inputs.clipped(0)  # clipped values are equal to each other, which would hide a drift from the tests
    X = data_from_arrays(state, portion.X, portion.Y, unclipped).train.X
    labels, classes = _label_counts(state, portion), _classes(state, portion.Y)
    new = NewPortion(len(state.portions), X, labels, error, classes)
    return detect_drift(state.drift, new, *_reference(state, stream, unclipped))


def _label_counts(state: StreamState, portion: Portion) -> tuple[float, ...]:
    """How many examples have each label; empty for values."""
    return tuple(np.nansum(portion.Y, axis=0).tolist()) if state.form.kind != "values" else ()


def _recent_metrics(recent: tuple[tuple[float, int], ...]) -> dict[str, float]:
    """The mean fresh error of the last portions, each weighted by its examples."""
    examples = sum(size for _, size in recent)
    mean = sum(error * size for error, size in recent) / examples
    return {"recent_error": mean, "recent_examples": float(examples)}


def _measured(state: StreamState, portion: Portion, outputs: Array | None) -> MeasuredPortion:
    """outputs: probabilities `[m, C]`, or values; None where they are not finite."""
    first = sum(record.examples for record in state.portions)
    predictions = pictures = None
    if state.form.kind == "classes" and outputs is not None:
        rows = first + np.arange(len(portion))
        predictions = Predictions.from_probabilities(outputs, portion.Y.argmax(axis=1), rows)
        pictures = _pictures(portion, predictions)
    return MeasuredPortion(portion.name, len(state.portions), first, state.trained_on, predictions, pictures)


def _pictures(portion: Portion, predictions: Predictions) -> dict[str, Any] | None:
    """Of the mistakes, the surest first."""
    shape = image_shape(portion.X)
    if shape is None:
        return None
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    wrong = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    rows = predictions.rows[wrong].tolist()
    return small_pictures(portion.X[wrong], rows, shape, float(portion.X.min()), float(portion.X.max()))


def _adapted_metrics(model: Checkpoint, portion: Portion) -> dict[str, float]:
    """Whether the model is of any use on a portion that has changed: its error when the inputs are normalised by the
    portion's own statistics (as in AdaBN, Li et al. 2016), beside that of always naming the most frequent class."""
    state = _state(model)
    own = state.normalization(model.config, InputStatistics.empty(model.inputs).including(portion.X))
    score, _ = _score(model, data_from_arrays(state, portion.X, portion.Y, own))
    return {"adapted_error": float(score.error[0]), "guess_error": 1 - float(portion.Y.mean(axis=0).max())}


def _reference(state: StreamState, stream: Stream, inputs: Normalization) -> tuple[Array, Array]:
    """Inputs and classes of the last portions since the last alarm."""
    start = max(state.drift.since, len(state.portions) - REFERENCE)
    portions = stream.portions(state.portions[start:])
    if not portions:
        return np.empty((0, state.form.inputs)), np.empty(0, np.intp)
    X, Y = np.concatenate([p.X for p in portions]), np.concatenate([p.Y for p in portions])
    return data_from_arrays(state, X, Y, inputs).train.X, _classes(state, Y)


def _classes(state: StreamState, Y: Array) -> Array:
    """Class numbers `[m]`; empty unless the targets are classes."""
    return Y.argmax(axis=1) if state.form.kind == "classes" else np.empty(0, np.intp)


def _score(model: Checkpoint, data: Data) -> tuple[Score, Array]:
    """The score, and the outputs `[m, C]` as probabilities or values."""
    evaluator = Evaluator(model.architecture(), model.parameters())
    with np.errstate(all="ignore"):  # outputs that are not finite are reported in the score
        Z = evaluator.outputs(data.train.X)
        return evaluator.score_outputs(Z, data.train.Y), evaluator.activate(Z)[0]
