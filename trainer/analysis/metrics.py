"""The metrics that a run reports of its models at the end of each epoch and of the training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.analysis.evaluation import Evaluator, Score
from trainer.data.preparation import Data
from trainer.layers.network import Architecture
from trainer.layers.parameters import Array, Parameters
from trainer.optim.averages import Average
from trainer.optim.gradients import alarms
from trainer.optim.plateaus import Plateau, smooth

TRAIN_SAMPLE = 256
"""train_loss and train_error of an epoch are measured on this many training examples, always the same; the final ones
on all. To measure all of them after every epoch would add a third to the training time.
"""

LOSSES_OF = ("train", "dev")


class Metrics:
    """Measures the models of a stack on the parts of its data.

    parameters: those that train. tested: those that predict, with averaged weights if the run has them.
    """

    def __init__(self, shape: Architecture, parameters: Parameters, data: Data, seed: int) -> None:
        self.shape, self.parameters, self.data = shape, parameters, data
        self.tested = shape.parameters(parameters.lead, parameters.theta.dtype)
        self.evaluator = Evaluator(shape, self.tested)
        rows = np.random.default_rng(seed).permutation(len(data.train))[:TRAIN_SAMPLE]
        self.train_sample = data.train.subset(rows)

    def measure(
        self, weights: Average | None, statistics: Average | None, *, final: bool
    ) -> tuple[list[dict[str, float]], dict[int, str]]:
        """Losses and errors of each model, and the rows whose outputs are not finite, with the layer.

        At an epoch's end: of a sample of train, of dev and of train_dev. final: of all of train, of dev, train_dev,
        test and synthetic.
        """
        names = ("train", "dev", "train_dev", *(("test", "synthetic") if final else ()))
        parts = {name: self.data.parts[name] for name in names if name in self.data.parts}
        if not final:
            parts["train"] = self.train_sample
        theta, running = self.parameters.theta, self.tested.running_statistics
        self.tested.theta[...] = theta if weights is None else weights.value(theta)
        if statistics is not None:
            running[...] = statistics.value(running)
        measured: list[dict[str, float]] = [{} for _ in theta]
        not_finite: dict[int, str] = {}
        for name, part in parts.items():
            if len(part):
                score = self.evaluator.score(part.X, part.Y)
                not_finite |= score.not_finite
                _add_scores(measured, name, score, defined=name not in self.data.undefined)
        return measured, not_finite


def _add_scores(measured: list[dict[str, float]], name: str, score: Score, *, defined: bool) -> None:
    for row, metrics in enumerate(measured):
        if defined:
            metrics[f"{name}_error"] = float(score.error[row])
        if name in LOSSES_OF:
            metrics[f"{name}_loss"] = float(score.loss[row])


def gradient_metrics(gradients: Array, weights: Array) -> list[tuple[dict[str, float], tuple[str, ...]]]:
    """gradient_norm_1 .. gradient_norm_L and alarms of each model, from norms of dW and W `[K, L]`."""
    return [
        ({f"gradient_norm_{layer}": float(norm) for layer, norm in enumerate(row, 1)}, alarms(row, sizes))
        for row, sizes in zip(gradients, weights, strict=True)
    ]


def add_plateau_metrics(measured: Sequence[dict[str, float]], plateaus: Sequence[Plateau], average: Average) -> None:
    """Adds plateau_epochs of each model: the epochs since its smoothed train_loss last fell."""
    smoothed = smooth(average, [metrics["train_loss"] for metrics in measured])
    for metrics, plateau, loss in zip(measured, plateaus, smoothed, strict=True):
        metrics["plateau_epochs"] = float(plateau.update(loss))
