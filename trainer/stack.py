"""K models of one shape that step together on the model axis; K = 1 is the same code.

A stack is always built from checkpoints: of models at step 0, of models that resume, or of the models that stay when
others leave. Nothing that happens to a model depends on its neighbours: it has its own order of examples, dropout masks
and hyperparameters, and every operation here treats each model's numbers apart, in the same order whatever K is. So the
results are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trainer.analysis.metrics import Metrics, add_plateau_metrics, gradient_metrics
from trainer.batch_network import BatchNetwork
from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig, shared_fields, steered
from trainer.data.batches import Batches, batch_size_for, batches_per_epoch
from trainer.data.preparation import Data
from trainer.layers.network import Network
from trainer.layers.parameters import aligned_like
from trainer.model import Changes, model_from_checkpoint, working_numbers
from trainer.optim.averages import Average, flush
from trainer.optim.gradients import clip, layer_norms
from trainer.optim.optimizers import OPTIMIZERS
from trainer.optim.schedules import learning_rate
from trainer.transfer import Freezer

CACHE = 6 << 20
"""Bytes up to which a stack was measured to gain: a core's second-level cache and its part of the third."""

LARGEST_STACK = 32

BUFFER = 512
"""Numbers in NumPy's own buffer, which it allocates again whenever an operand is broadcast; by default 8192."""


def never(_step: int) -> bool:
    """As `halt`: the run halts after no step."""
    return False


class Advance(NamedTuple):
    """How far a stack came. diverged: the rows whose numbers are not finite, and the layer in which that began.
    paused: the epoch has ended, the time is up, or the caller halts, so that the other models have a Progress to give.
    """

    diverged: dict[int, str]
    paused: bool


class Stack:
    """Models at the same step of their training, with everything that a step reads and writes.

    Raises: ConfigError (the checkpoints are of different shapes, or at different steps).
    """

    def __init__(
        self, checkpoints: Sequence[Checkpoint], places: Sequence[int], data: Data, changes: Sequence[Changes]
    ) -> None:
        _check_alike(checkpoints)
        first = checkpoints[0]
        self.models = [model_from_checkpoint(*each) for each in zip(places, checkpoints, changes, strict=True)]
        self.changing = {step for planned in changes for step in planned}
        self.step, self.epoch, self.position, self.seconds = first.step, first.epoch, first.position, first.seconds
        self.shape = first.architecture()
        self.parameters = self.shape.parameters((len(checkpoints),), first.theta.dtype)
        self.parameters.theta[...] = [c.theta for c in checkpoints]
        self.optimizer = OPTIMIZERS[first.config.optimizer](self.parameters)
        self._make_averages(first.config, checkpoints)
        self.metrics = Metrics(self.shape, self.parameters, data, first.config.split_seed)
        self.squares = np.empty((len(self.models), 1, 1), first.theta.dtype)
        self.freezer = Freezer(self.parameters)
        self.networks: dict[int, BatchNetwork] = {}
        self._take_data(data, first.config)
        self._configure()

    def _make_averages(self, config: TrainConfig, checkpoints: Sequence[Checkpoint]) -> None:
        parameters = self.parameters
        self.weights = Average(aligned_like(parameters.theta)) if config.averaged_weights else None
        self.statistics = Average(np.zeros_like(parameters.batch_statistics)) if config.batch_norm else None
        self.smoothed_loss = Average(np.zeros((len(self.models), 1)))
        own = {"weights": self.weights, "statistics": self.statistics, "loss": self.smoothed_loss}
        self.averages = self.optimizer.averages | {name: a for name, a in own.items() if a is not None}
        for name, average in self.averages.items():
            for row, checkpoint in enumerate(checkpoints):
                if name in checkpoint.sums:
                    average.restore(row, checkpoint.sums[name], checkpoint.betas[name], checkpoint.products[name])

    def _take_data(self, data: Data, config: TrainConfig) -> None:
        dtype = self.parameters.theta.dtype
        self.data = data
        self.X, self.Y = data.train.X.astype(dtype, copy=False), data.train.Y.astype(dtype, copy=False)
        self.batch_size = batch_size_for(config.batch_size, len(data.train))
        self.batches_per_epoch = batches_per_epoch(len(data.train), self.batch_size, data.passes)
        self._shuffle()

    def _shuffle(self) -> None:
        seeds = [model.seed for model in self.models]
        self.batches = Batches(len(self.X), self.batch_size, seeds, self.epoch, self.data.passes)

    def _configure(self) -> None:
        """Reads the configs in force; to be called whenever one of them changes."""
        self.configs = configs = [model.config for model in self.models]
        self.optimizer.configure(configs)
        self.scheduled = any(c.schedule != "constant" or c.warmup_epochs for c in configs)
        self.rates = self._rates()
        self.limits = np.array([[c.clip_norm] for c in configs])
        self.clipping = bool(self.limits.any())
        self.freezer.freeze([c.frozen_layers for c in configs])
        for batch_network in self.networks.values():
            batch_network.network.set_keep_probs([c.keep_probs() for c in configs])

    def _rates(self) -> list[float]:
        part = 1 / self.batches_per_epoch
        return [learning_rate(config, self.epoch + self.position * part, part) for config in self.configs]

    def change(self, row: int, params: Mapping[str, object]) -> None:
        """Changes live hyperparameters of one model, from the next step on.

        Raises: ConfigError (a field that is unknown or not live, or that does not fit the others).
        """
        if params:
            self.models[row].config = steered(self.models[row].config, params)
            self._configure()

    def apply_planned_changes(self, row: int) -> None:
        """Makes the change of one model that is planned from the next step on, once."""
        model, due = self.models[row], self.step + 1
        if due in model.changes:
            planned = model.changes[due]
            model.changes = {step: params for step, params in model.changes.items() if step != due}
            self.change(row, planned)

    def advance(self, pulse: float | None, clock: Callable[[], float], halt: Callable[[int], bool] = never) -> Advance:
        """Makes at least one step, and more until the epoch ends, `pulse` seconds are over, `halt` is true of the
        number of steps done, or a model diverges.
        """
        begin = clock()
        with np.errstate(all="ignore"):  # restores the buffer size, too
            np.setbufsize(BUFFER)
            while True:
                diverged = self._one_step()
                now = clock()
                paused = self.position == 0 or halt(self.step) or (pulse is not None and now - begin >= pulse)
                if paused or diverged:
                    break
        self.seconds += now - begin
        return Advance(diverged, paused)

    def _one_step(self) -> dict[int, str]:
        if self.step + 1 in self.changing:
            for row in range(len(self.models)):
                self.apply_planned_changes(row)
        indices = self.batches[self.position]
        batch = self._network(indices.shape[1])
        batch.fill(self.X, self.Y, indices)
        batch.network.gradients(batch.X, batch.Y)
        if self.freezer.frozen:
            self.freezer.zero_gradients()
        if self.position == self.batches_per_epoch - 1:  # before clipping and the optimiser's L2 term change grad
            self.norms = layer_norms(self.parameters, self.shape.depth)
        self._update()
        diverged = self._not_finite(batch.network) if self.optimizer.wrong.any() else {}
        self.step, self.position = self.step + 1, self.position + 1
        if self.position == self.batches_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
            self._shuffle()
            self._flush()
        return diverged

    def _flush(self) -> None:
        """Keeps denormal numbers out: moments of dead units fade for ever, and so do their weights under L2."""
        for average in self.averages.values():
            average.flush()
        flush(self.parameters.theta)
        self.freezer.restore_values()

    def _update(self) -> None:
        """Moves theta by the gradients in grad, and adds the new values to the averages."""
        if self.clipping:
            clip(self.parameters.grad, self.squares, self.limits)
        if self.scheduled:
            self.rates = self._rates()
        self.optimizer.step(self.rates)
        if self.freezer.frozen:
            self.freezer.restore_values()
        if self.statistics is not None:
            self.statistics.advance([config.running_beta for config in self.configs])
            self.statistics.add(self.parameters.batch_statistics)
        if self.weights is not None:
            self.weights.advance([config.average_beta for config in self.configs])
            self.weights.add(self.parameters.theta)

    def _network(self, batch: int) -> BatchNetwork:
        if batch not in self.networks:
            sources = [model.masks for model in self.models]
            self.networks[batch] = BatchNetwork.build(self.shape, self.parameters, batch, sources)
            self.networks[batch].network.set_keep_probs([config.keep_probs() for config in self.configs])
        return self.networks[batch]

    def _not_finite(self, network: Network) -> dict[int, str]:
        # A model with finite gradients trains on, as it does alone, even if some of its Z are infinite.
        layers = {row: network.first_not_finite(row) for row in np.flatnonzero(self.optimizer.wrong).tolist()}
        return {row: layer for row, layer in layers.items() if layer is not None}

    def measure_epoch(self, clock: Callable[[], float]) -> dict[int, str]:
        """Sets the metrics and alarms of every model at an epoch's end; gives the rows whose outputs are not finite,
        and the layer in which that began.
        """
        begin = clock()
        with np.errstate(all="ignore"):
            measured, not_finite = self.metrics.measure(self.weights, self.statistics, final=False)
            add_plateau_metrics(measured, [model.plateau for model in self.models], self.smoothed_loss)
            for row, (norms, alarms) in enumerate(gradient_metrics(*self.norms)):
                measured[row] |= norms | {"learning_rate": self.rates[row]}
                self.models[row].alarms = alarms
        self._set_metrics(measured, clock() - begin)
        return not_finite

    def measure_end(self, clock: Callable[[], float]) -> None:
        """Sets the final metrics of every model: its training ends here."""
        begin = clock()
        with np.errstate(all="ignore"):
            measured, _ = self.metrics.measure(self.weights, self.statistics, final=True)
        self._set_metrics(measured, clock() - begin)

    def _set_metrics(self, measured: Sequence[dict[str, float]], seconds: float) -> None:
        self.seconds += seconds
        for model, metrics in zip(self.models, measured, strict=True):
            model.metrics = metrics | {"epoch": float(self.epoch), "seconds": self.seconds}

    def checkpoint(self, row: int) -> Checkpoint:
        """Everything about one model, copied: the stack may go on."""
        model = self.models[row]
        return Checkpoint(
            config=model.config,
            seed=model.seed,
            theta=self.parameters.theta[row].copy(),
            mask_state=model.mask_state(),
            normalization=self.data.normalization,
            target_normalization=self.data.target_normalization,
            class_names=self.data.class_names,
            kind=self.data.kind,
            encoding=self.data.encoding,
            sums={name: average.total[row].copy() for name, average in self.averages.items()},
            betas={name: average.betas[row] for name, average in self.averages.items()},
            products={name: average.products[row] for name, average in self.averages.items()},
            step=self.step,
            epoch=self.epoch,
            position=self.position,
            seconds=self.seconds,
            plateau_best=model.plateau.best,
            plateau_epochs=model.plateau.epochs,
            metrics=dict(model.metrics),
        )

    def only(self, rows: Sequence[int]) -> Stack:
        """A stack of the models in these rows, of which there is at least one; this stack does not change."""
        models = [self.models[row] for row in rows]
        checkpoints = [self.checkpoint(row) for row in rows]
        stack = Stack(checkpoints, [m.place for m in models], self.data, [m.changes for m in models])
        for copy, model in zip(stack.models, models, strict=True):
            copy.alarms = model.alarms
        return stack

    def without(self, leaving: Collection[int]) -> Stack | None:
        """A stack of the models in the other rows, or None if there are none."""
        stay = [row for row in range(len(self.models)) if row not in leaving]
        return self.only(stay) if stay else None


def useful_models(config: TrainConfig, data: Data) -> int:
    """How many models of this shape to train as one stack: as many as the cache holds, from 1 to 32.

    The working set of a model is theta, its gradient, moments and average, and Z, A and their gradients for a batch.
    """
    shape = config.architecture(data.train.X.shape[1], data.train.Y.shape[1], data.loss)
    return max(1, min(LARGEST_STACK, CACHE // (4 * working_numbers(shape, config, data, copies=5))))


def _check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if shared_fields(other.config) != shared_fields(first.config):
            raise ConfigError("Models that train as a stack may differ in seed, initializer and live fields only.")
        if (other.step, other.epoch, other.position) != (first.step, first.epoch, first.position):
            raise ConfigError(f"A stack cannot join models at steps {first.step} and {other.step}.")
