"""K models of one shape that step together on the model axis; K = 1 is the same code.

A stack is always built from checkpoints: a new one from checkpoints at step 0, a resumed one from those it
left, and the stack that a model leaves from those of the models that stay. What happens to a model depends on
nothing of its neighbours: it has its own order of examples, masks and hyperparameters, and every operation
here works on each model's numbers apart, in the same order whatever K is. So the results are equal bit for
bit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.averages import Average
from trainer.batches import Batches, batches_per_epoch
from trainer.checkpoint import Checkpoint
from trainer.config import LIVE, ConfigError, TrainConfig, shared_fields
from trainer.evaluation import Evaluator
from trainer.network import Architecture, Network
from trainer.optimizers import OPTIMIZERS
from trainer.parameters import Array, Parameters
from trainer.preparation import Data, Part

TRAIN_SAMPLE = 256
"""train_loss and train_error of an epoch come from as many training examples as dev has, but at least this
many; the final ones from all."""


def steered(config: TrainConfig, params: Mapping[str, object]) -> TrainConfig:
    """The config with these live fields changed.

    Raises:
        ConfigError: a field that is unknown or not live.
    """
    for name in params:
        if name not in LIVE:
            raise ConfigError(f"{name} cannot change while a model trains; {', '.join(sorted(LIVE))} can.")
    return dataclasses.replace(config, **params)  # type: ignore[arg-type]


def first_checkpoint(config: TrainConfig, data: Data, seed: int) -> Checkpoint:
    """A model that has not taken a step: weights drawn from the seed, everything else zero."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(0,))))
    shape = Architecture.of(config, data.train.X.shape[1], data.train.Y.shape[1])
    parameters = Parameters(shape.layout())
    for name, W in shape.first_weights(config.initializer, rng).items():
        parameters.values[name][...] = W
    masks = _state(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(2,))))
    return Checkpoint(config, seed, parameters.theta, masks, data.normalization, data.class_names)


@dataclass
class Model:
    """What a stack keeps of each of its models outside of the flat arrays; place is its number in the run."""

    place: int
    seed: int
    config: TrainConfig
    masks: np.random.SFC64
    metrics: dict[str, float]


@dataclass(frozen=True)
class Lane:
    """The network for batches of one size and its buffers X `[K, B, n]`, Y `[K, B, C]`."""

    network: Network
    X: Array
    Y: Array


class Stack:
    """Models at the same step of their training, with everything that a step reads and writes.

    Raises:
        ConfigError: the checkpoints are of different shapes, or at different steps.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], places: Sequence[int], data: Data) -> None:
        _check_alike(checkpoints)
        first = checkpoints[0]
        self.models = [
            Model(place, c.seed, c.config, _generator(c.mask_state), c.metrics)
            for place, c in zip(places, checkpoints, strict=True)
        ]
        self.step, self.epoch, self.position, self.seconds = (
            first.step,
            first.epoch,
            first.position,
            first.seconds,
        )
        self.shape = Architecture.of(first.config, first.inputs, first.outputs)
        self.parameters = Parameters(self.shape.layout(), (len(checkpoints),), first.theta.dtype)
        self.parameters.theta[...] = [c.theta for c in checkpoints]
        self.optimizer = OPTIMIZERS[first.config.optimizer](self.parameters)
        for name, average in self.optimizer.averages.items():
            _restore(average, name, checkpoints)
        self.evaluator = Evaluator(self.shape, self.parameters)
        self.squares = np.empty((len(self.models), 1, 1), first.theta.dtype)
        self.lanes: dict[int, Lane] = {}
        self._take_data(data, first.config)
        self._configure()

    def _take_data(self, data: Data, config: TrainConfig) -> None:
        dtype = self.parameters.theta.dtype
        self.data = data
        self.X, self.Y = data.train.X.astype(dtype, copy=False), data.train.Y.astype(dtype, copy=False)
        self.batch_size = min(config.batch_size, len(data.train))
        self.batches_per_epoch = batches_per_epoch(len(data.train), self.batch_size)
        rows = np.random.default_rng(config.split_seed).permutation(len(data.train))
        rows = rows[: max(TRAIN_SAMPLE, len(data.dev))]
        self.train_sample = Part(data.train.X[rows], data.train.Y[rows], data.train.rows[rows])
        self._shuffle()

    def _shuffle(self) -> None:
        seeds = [model.seed for model in self.models]
        self.batches = Batches(len(self.X), self.batch_size, seeds, self.epoch)

    def _configure(self) -> None:
        self.configs = [model.config for model in self.models]
        self.rates = [config.learning_rate for config in self.configs]
        for lane in self.lanes.values():
            lane.network.keep([config.keep_prob for config in self.configs])

    def change(self, row: int, params: Mapping[str, object]) -> None:
        """Changes live hyperparameters of one model, from the next step on.

        Raises:
            ConfigError: a field that is unknown or not live.
        """
        self.models[row].config = steered(self.models[row].config, params)
        self._configure()

    def advance(self, pulse: float | None, clock: Callable[[], float]) -> dict[int, str]:
        """Steps to the end of the epoch, or for `pulse` seconds; gives the rows that diverged, and where."""
        begin = now = clock()
        lost: dict[int, str] = {}
        with np.errstate(all="ignore"):
            while not lost and (pulse is None or now - begin < pulse):
                lost = self._one_step()
                now = clock()
                if self.position == 0:
                    break
        self.seconds += now - begin
        return lost

    def _one_step(self) -> dict[int, str]:
        indices = self.batches[self.position]
        lane = self._lane(indices.shape[1])
        np.take(self.X, indices, axis=0, out=lane.X, mode="clip")
        np.take(self.Y, indices, axis=0, out=lane.Y, mode="clip")
        lane.network.gradients(lane.X, lane.Y)
        lost = self._not_finite(lane.network)
        self.optimizer.step(self.configs, self.rates)
        self.step, self.position = self.step + 1, self.position + 1
        if self.position == self.batches_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
            self._shuffle()
        return lost

    def _lane(self, batch: int) -> Lane:
        if batch not in self.lanes:
            network = Network(self.shape, self.parameters, batch, [model.masks for model in self.models])
            network.keep([config.keep_prob for config in self.configs])
            dtype, models = self.parameters.theta.dtype, len(self.models)
            X = np.empty((models, batch, self.X.shape[1]), dtype)
            self.lanes[batch] = Lane(network, X, np.empty((models, batch, self.Y.shape[1]), dtype))
        return self.lanes[batch]

    def _not_finite(self, network: Network) -> dict[int, str]:
        grad = self.parameters.grad
        np.matmul(grad[:, None, :], grad[:, :, None], out=self.squares)
        if math.isfinite(self.squares.sum()):
            return {}
        # The sum of squares overflows before the gradients do: look at them one by one.
        found = {row: network.first_not_finite(row) for row in range(len(self.models))}
        return {row: where for row, where in found.items() if where is not None}

    def measure(self, clock: Callable[[], float], *, final: bool = False) -> dict[int, str]:
        """Sets the metrics of every model; gives the rows whose loss is not finite, and where that began.

        The final metrics are those of all training examples, and hold test_error.
        """
        begin = clock()
        parts = {"train": self.data.train if final else self.train_sample, "dev": self.data.dev}
        if final:
            parts["test"] = self.data.test
        for model in self.models:
            model.metrics = {"epoch": float(self.epoch)}
        lost: dict[int, str] = {}
        with np.errstate(all="ignore"):
            for name, part in parts.items():
                if len(part):
                    lost |= self._measure_part(name, part)
        self.seconds += clock() - begin
        for model in self.models:
            model.metrics["seconds"] = self.seconds
        return lost

    def _measure_part(self, name: str, part: Part) -> dict[int, str]:
        loss, error, where = self.evaluator.score(part.X, part.Y)
        for row, model in enumerate(self.models):
            model.metrics[f"{name}_error"] = float(error[row])
            if name != "test":
                model.metrics[f"{name}_loss"] = float(loss[row])
        return where

    def checkpoint(self, row: int) -> Checkpoint:
        """Everything about one model, copied: the stack may go on."""
        model, averages = self.models[row], self.optimizer.averages
        return Checkpoint(
            config=model.config,
            seed=model.seed,
            theta=self.parameters.theta[row].copy(),
            mask_state=_state(model.masks),
            normalization=self.data.normalization,
            class_names=self.data.class_names,
            moments={name: average.total[row].copy() for name, average in averages.items()},
            betas={name: average.betas[row] for name, average in averages.items()},
            products={name: average.products[row] for name, average in averages.items()},
            step=self.step,
            epoch=self.epoch,
            position=self.position,
            seconds=self.seconds,
            metrics=dict(model.metrics),
        )

    def without(self, leaving: Collection[int]) -> Stack | None:
        """A stack of the models in the other rows, or None if there are none."""
        stay = [row for row in range(len(self.models)) if row not in leaving]
        if not stay:
            return None
        return Stack(
            [self.checkpoint(row) for row in stay], [self.models[row].place for row in stay], self.data
        )


def _check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if shared_fields(other.config) != shared_fields(first.config):
            raise ConfigError(
                "Models that train as a stack may differ in seed, initializer and live fields only."
            )
        if (other.step, other.epoch, other.position) != (first.step, first.epoch, first.position):
            raise ConfigError(f"A stack cannot join models at steps {first.step} and {other.step}.")


def _restore(average: Average, name: str, checkpoints: Sequence[Checkpoint]) -> None:
    for row, checkpoint in enumerate(checkpoints):
        if name in checkpoint.moments:
            average.restore(row, checkpoint.moments[name], checkpoint.betas[name], checkpoint.products[name])


def _generator(state: Array) -> np.random.SFC64:
    generator = np.random.SFC64(0)
    generator.state = generator.state | {"state": {"state": state}}
    return generator


def _state(generator: np.random.SFC64) -> Array:
    return np.array(generator.state["state"]["state"], np.uint64)
