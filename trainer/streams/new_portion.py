"""How a model does on a portion that it has not seen, and what the watch for drift says of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from trainer.analysis.error_analysis import Judged
from trainer.analysis.evaluation import Evaluator, Score
from trainer.checkpoint import Checkpoint
from trainer.data.normalization import Normalization
from trainer.data.preparation import Data
from trainer.layers.parameters import Array
from trainer.streams.drift import REFERENCE, Fresh, Verdict, look
from trainer.streams.mixing import of_arrays
from trainer.streams.portion_metrics import inputs_told, shares_told
from trainer.streams.portions import Portion
from trainer.streams.state import StreamState, Taken
from trainer.streams.statistics import InputStatistics
from trainer.streams.stream import Stream
from trainer.training import Portioned

RECENT = 10
"""recent_error is the mean fresh error of so many portions."""


@dataclass(frozen=True)
class Look:
    """model: the same, its stream's state having taken the portion. told: the portion's metrics. measured: what of it
    is kept for the error analysis. lost: where its outputs are not finite, if so.
    """

    model: Checkpoint
    told: dict[str, float]
    verdict: Verdict
    measured: Portioned
    lost: str | None


def look_at(model: Checkpoint, stream: Stream, portion: Portion) -> Look:
    """Measures the model on the next portion; nothing is trained."""
    state = _state(model)
    number = len(state.taken)
    seen = state.seen.and_of(portion.X)
    # The first portion is its own norm: there is nothing before it.
    inputs = model.normalization if number else state.normalization(model.config, seen)
    score, outputs = _score(model, of_arrays(state, portion.X, portion.Y, inputs))
    error, loss = float(score.error[0]), float(score.loss[0])
    labels = tuple(np.nansum(portion.Y, axis=0).tolist()) if state.form.kind != "values" else ()
    plain = inputs.clipped(0)  # values that are clipped are equal, and would hide from the tests
    unclipped = of_arrays(state, portion.X, portion.Y, plain)
    fresh = Fresh(number, unclipped.train.X, labels, error, _classes(state, portion.Y))
    watch, verdict = look(state.watch, fresh, *_reference(state, stream, plain))
    told = {"fresh_error": error, "fresh_loss": loss, "dev_error": error, "dev_loss": loss}
    told |= inputs_told(portion.X, state) | shares_told(labels, len(portion)) | verdict.metrics()
    told |= _knows(model, portion) if verdict.alarms and state.form.kind == "classes" else {}
    recent = (*state.recent, (error, len(portion)))[-RECENT:]
    examples = sum(size for _, size in recent)
    told |= {"recent_error": sum(e * size for e, size in recent) / examples, "recent_examples": float(examples)}
    told |= {"portion": float(number), "portion_examples": float(len(portion))}
    taken = (*state.taken, Taken(portion.name, portion.sha256, len(portion)))
    after = dataclasses.replace(state, seen=seen, taken=taken, pending=True, watch=watch, fresh=told, recent=recent)
    lost = score.not_finite.get(0) or (None if math.isfinite(loss + error) else "the loss")
    measured = _measured(state, portion, outputs if lost is None else None)
    return Look(dataclasses.replace(model, stream=after, normalization=inputs), told, verdict, measured, lost)


def is_sound(model: Checkpoint, stream: Stream) -> bool:
    """Whether the model's outputs on the newest portion that it took are finite: then it is the new one that is not."""
    state = _state(model)
    before = stream.portions(state.taken[-1:])
    if not before:
        return False
    score, _ = _score(model, of_arrays(state, before[0].X, before[0].Y, model.normalization))
    return not score.not_finite and math.isfinite(float(score.loss[0]))


def _state(model: Checkpoint) -> StreamState:
    assert model.stream is not None
    return model.stream


def _measured(state: StreamState, portion: Portion, outputs: Array | None) -> Portioned:
    """outputs: probabilities `[m, C]`, or values; None where they are not finite."""
    first = sum(one.examples for one in state.taken)
    judged = None
    if state.form.kind == "classes" and outputs is not None:
        judged = Judged.by(outputs, portion.Y.argmax(axis=1), first + np.arange(len(portion)))
    return Portioned(portion.name, len(state.taken), first, state.trained_on, judged)


def _knows(model: Checkpoint, portion: Portion) -> dict[str, float]:
    """Whether the model knows anything of a changed portion: its error when the inputs are normalised by their own
    statistics (as in AdaBN, Li et al. 2016), against that of naming the most frequent class."""
    state = _state(model)
    own = state.normalization(model.config, InputStatistics.nothing(model.inputs).and_of(portion.X))
    score, _ = _score(model, of_arrays(state, portion.X, portion.Y, own))
    return {"adapted_error": float(score.error[0]), "guess_error": 1 - float(portion.Y.mean(axis=0).max())}


def _reference(state: StreamState, stream: Stream, inputs: Normalization) -> tuple[Array, Array]:
    """Inputs and classes of the last portions of the present regime."""
    start = max(state.watch.since, len(state.taken) - REFERENCE)
    portions = stream.portions(state.taken[start:])
    if not portions:
        return np.empty((0, state.form.inputs)), np.empty(0, np.intp)
    X, Y = np.concatenate([p.X for p in portions]), np.concatenate([p.Y for p in portions])
    return of_arrays(state, X, Y, inputs).train.X, _classes(state, Y)


def _classes(state: StreamState, Y: Array) -> Array:
    """Class numbers `[m]`; none where an example has not one class."""
    return Y.argmax(axis=1) if state.form.kind == "classes" else np.empty(0, np.intp)


def _score(model: Checkpoint, data: Data) -> tuple[Score, Array]:
    """And the outputs `[m, C]`, as probabilities or values."""
    evaluator = Evaluator(model.architecture(), model.parameters())
    with np.errstate(all="ignore"):  # what is not finite is looked for
        Z = evaluator.outputs(data.train.X)
        return evaluator.score_of(Z, data.train.Y), evaluator.activations_of(Z)[0]
