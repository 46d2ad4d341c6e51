"""What a run tells about its models at the end of an epoch, and of all."""

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
"""train_loss and train_error of an epoch come from this many training examples, always the same; the final ones
from all. To measure all of them after every epoch would add a third to the time of training."""

LOSSES_OF = ("train", "dev")


class Metrics:
    """Measures the models of a stack on the parts of its data.

    parameters are those that train; tested are those that predict, with averaged weights where a run has
    them.
    """

    def __init__(self, shape: Architecture, parameters: Parameters, data: Data, seed: int) -> None:
        self.shape, self.parameters, self.data = shape, parameters, data
        self.tested = shape.parameters(parameters.lead, parameters.theta.dtype)
        self.evaluator = Evaluator(shape, self.tested)
        rows = np.random.default_rng(seed).permutation(len(data.train))[:TRAIN_SAMPLE]
        self.train_sample = data.train.only(rows)

    def measure(
        self, weights: Average | None, statistics: Average | None, *, final: bool
    ) -> tuple[list[dict[str, float]], dict[int, str]]:
        """Losses and errors of each model, and the rows whose outputs are not finite, with the layer.

        An epoch's are of train (a sample), dev and train_dev; the final ones of all of train, test and
        synthetic, too.
        """
        names = ("train", "dev", "train_dev", *(("test", "synthetic") if final else ()))
        parts = {name: self.data.parts[name] for name in names if name in self.data.parts}
        if not final:
            parts["train"] = self.train_sample
        theta, running = self.parameters.theta, self.tested.running_statistics
        self.tested.theta[...] = theta if weights is None else weights.value(theta)
        if statistics is not None:
            running[...] = statistics.value(running)
        found: list[dict[str, float]] = [{} for _ in theta]
        lost: dict[int, str] = {}
        for name, part in parts.items():
            if len(part):
                score = self.evaluator.score(part.X, part.Y)
                lost |= score.not_finite
                _note(found, name, score)
        return found, lost


def _note(found: list[dict[str, float]], name: str, score: Score) -> None:
    for row, metrics in enumerate(found):
        metrics[f"{name}_error"] = float(score.error[row])
        if name in LOSSES_OF:
            metrics[f"{name}_loss"] = float(score.loss[row])


def gradient_metrics(gradients: Array, weights: Array) -> list[tuple[dict[str, float], tuple[str, ...]]]:
    """gradient_norm_1 .. gradient_norm_L and alarms of each model, from norms of dW and W `[K, L]`."""
    return [
        ({f"gradient_norm_{layer}": float(norm) for layer, norm in enumerate(row, 1)}, alarms(row, sizes))
        for row, sizes in zip(gradients, weights, strict=True)
    ]


def note_plateaus(found: Sequence[dict[str, float]], plateaus: Sequence[Plateau], average: Average) -> None:
    """plateau_epochs of each model: epochs in which its smoothed train_loss has not fallen."""
    smoothed = smooth(average, [metrics["train_loss"] for metrics in found])
    for metrics, plateau, loss in zip(found, plateaus, smoothed, strict=True):
        metrics["plateau_epochs"] = float(plateau.see(loss))
