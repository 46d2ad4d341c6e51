"""K models of one shape that step together on the model axis; K = 1 is the same code.

A stack is always built from checkpoints: a new one from checkpoints at step 0, a resumed one from those it
left, and the stack that a model leaves from those of the models that stay. What happens to a model depends on
nothing of its neighbours: it has its own order of examples, masks and hyperparameters, and every operation
here works on each model's numbers apart, in the same order whatever K is. So the results are equal bit for
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.analysis.metrics import Metrics, gradient_metrics, note_plateaus
from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig, shared_fields, steered
from trainer.data.batches import Batches, batch_size_for, batches_per_epoch
from trainer.data.preparation import Data
from trainer.layers.network import Architecture, Network
from trainer.layers.parameters import Array, aligned_like, aligned_zeros
from trainer.optim.averages import Average, flush
from trainer.optim.gradients import clip, layer_norms
from trainer.optim.optimizers import OPTIMIZERS
from trainer.optim.plateaus import Plateau
from trainer.optim.schedules import learning_rate
from trainer.transfer import Freezer

CACHE = 6 << 20
"""Bytes up to which stacks were measured to gain: a core's second-level cache and its part of the third."""

LARGEST_STACK = 32

BUFFER = 512
"""Numbers in NumPy's own buffer, which it allocates anew whenever an operand is broadcast; by default 8192."""


Changes = Mapping[int, Mapping[str, object]]
"""Live hyperparameters to change, by the step they are to apply from (the first step is 1)."""


def never(_step: int) -> bool:
    """No step is one to halt after."""
    return False


@dataclass
class Model:
    """What a stack keeps of each of its models outside of the flat arrays; place is its number in the run."""

    place: int
    seed: int
    config: TrainConfig
    masks: np.random.SFC64
    plateau: Plateau
    metrics: dict[str, float]
    changes: Changes = field(default_factory=dict)
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lane:
    """The network for batches of one size and its buffers X `[K, B, n]`, Y `[K, B, C]`.

    Y lies in memory as the last layer's Z does, class by class; it is gathered row by row into Y_rows.
    """

    network: Network
    X: Array
    Y_rows: Array
    Y: Array

    def fill(self, X: Array, Y: Array, indices: Array) -> None:
        """Gathers the examples of a batch, indices `[K, B]`."""
        # Without mode="clip" NumPy would gather into a buffer first.
        np.take(X, indices, axis=0, out=self.X, mode="clip")
        np.take(Y, indices, axis=0, out=self.Y_rows, mode="clip")
        np.copyto(self.Y, self.Y_rows)


class Stack:
    """Models at the same step of their training, with everything that a step reads and writes.

    Raises:
        ConfigError: the checkpoints are of different shapes, or at different steps.
    """

    def __init__(
        self, checkpoints: Sequence[Checkpoint], places: Sequence[int], data: Data, changes: Sequence[Changes]
    ) -> None:
        _check_alike(checkpoints)
        first = checkpoints[0]
        self.models = [_model(*each) for each in zip(places, checkpoints, changes, strict=True)]
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
        self.lanes: dict[int, Lane] = {}
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
                    told = checkpoint.sums[name], checkpoint.betas[name], checkpoint.products[name]
                    average.restore(row, *told)

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
        """Reads the configs in force; to be called whenever one changes."""
        self.configs = configs = [model.config for model in self.models]
        self.optimizer.configure(configs)
        self.scheduled = any(c.schedule != "constant" or c.warmup_epochs for c in configs)
        self.rates = self._rates()
        self.limits = np.array([[c.clip_norm] for c in configs])
        self.clipping = bool(self.limits.any())
        self.freezer.freeze([c.frozen_layers for c in configs])
        for lane in self.lanes.values():
            lane.network.keep([c.keep_probs() for c in configs])

    def _rates(self) -> list[float]:
        part = 1 / self.batches_per_epoch
        return [learning_rate(config, self.epoch + self.position * part, part) for config in self.configs]

    def change(self, row: int, params: Mapping[str, object]) -> None:
        """Changes live hyperparameters of one model, from the next step on.

        Raises:
            ConfigError: a field that is unknown or not live, or that does not fit the others.
        """
        if params:
            self.models[row].config = steered(self.models[row].config, params)
            self._configure()

    def take_changes(self, row: int) -> None:
        """Makes the change of one model that is planned from the next step on, once."""
        model, due = self.models[row], self.step + 1
        if due in model.changes:
            planned = model.changes[due]
            model.changes = {step: params for step, params in model.changes.items() if step != due}
            self.change(row, planned)

    def advance(
        self, pulse: float | None, clock: Callable[[], float], halt: Callable[[int], bool] = never
    ) -> dict[int, str]:
        """Steps to the end of the epoch, for `pulse` seconds, or until `halt` of the steps done; gives the rows that
        diverged, and where."""
        begin = now = clock()
        lost: dict[int, str] = {}
        with np.errstate(all="ignore"):  # restores the buffer size, too
            np.setbufsize(BUFFER)
            while not lost and (pulse is None or now - begin < pulse):
                lost = self._one_step()
                now = clock()
                if self.position == 0 or halt(self.step):
                    break
        self.seconds += now - begin
        return lost

    def _one_step(self) -> dict[int, str]:
        if self.step + 1 in self.changing:
            for row in range(len(self.models)):
                self.take_changes(row)
        indices = self.batches[self.position]
        lane = self._lane(indices.shape[1])
        lane.fill(self.X, self.Y, indices)
        lane.network.gradients(lane.X, lane.Y)
        if self.freezer.held:
            self.freezer.take_gradients()
        if self.position == self.batches_per_epoch - 1:  # before clipping and the optimiser's L2 term change grad
            self.norms = layer_norms(self.parameters, self.shape.depth)
        self._update()
        lost = self._not_finite(lane.network) if self.optimizer.wrong.any() else {}
        self.step, self.position = self.step + 1, self.position + 1
        if self.position == self.batches_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
            self._shuffle()
            self._flush()
        return lost

    def _flush(self) -> None:
        """Keeps denormal numbers out: moments of dead units fade for ever, and so do their weights under L2."""
        for average in self.averages.values():
            average.flush()
        flush(self.parameters.theta)
        self.freezer.put_back()

    def _update(self) -> None:
        """Moves theta by the gradients in grad, and takes the new values into the averages."""
        if self.clipping:
            clip(self.parameters.grad, self.squares, self.limits)
        if self.scheduled:
            self.rates = self._rates()
        self.optimizer.step(self.rates)
        if self.freezer.held:
            self.freezer.put_back()
        if self.statistics is not None:
            self.statistics.advance([config.running_beta for config in self.configs])
            self.statistics.take(self.parameters.batch_statistics)
        if self.weights is not None:
            self.weights.advance([config.average_beta for config in self.configs])
            self.weights.take(self.parameters.theta)

    def _lane(self, batch: int) -> Lane:
        if batch not in self.lanes:
            sources = [model.masks for model in self.models]
            network = Network(self.shape, self.parameters, batch, training=True, sources=sources)
            network.keep([config.keep_probs() for config in self.configs])
            Z = network.denses[-1].Z
            X = aligned_zeros((*Z.shape[:-1], self.X.shape[1]), Z.dtype)
            self.lanes[batch] = Lane(network, X, aligned_zeros(Z.shape, Z.dtype), aligned_like(Z))
        return self.lanes[batch]

    def _not_finite(self, network: Network) -> dict[int, str]:
        found = {row: network.first_not_finite(row) for row in range(len(self.models))}
        return {row: where for row, where in found.items() if where is not None}

    def measure(self, clock: Callable[[], float], *, final: bool = False) -> dict[int, str]:
        """Sets the metrics and alarms of every model; gives the rows that are not finite, and where."""
        begin = clock()
        with np.errstate(all="ignore"):
            found, lost = self.metrics.measure(self.weights, self.statistics, final=final)
            if not final:
                note_plateaus(found, [model.plateau for model in self.models], self.smoothed_loss)
                for row, (norms, told) in enumerate(gradient_metrics(*self.norms)):
                    found[row] |= norms | {"learning_rate": self.rates[row]}
                    self.models[row].alarms = told
        self.seconds += clock() - begin
        for model, metrics in zip(self.models, found, strict=True):
            model.metrics = metrics | {"epoch": float(self.epoch), "seconds": self.seconds}
        return lost

    def checkpoint(self, row: int) -> Checkpoint:
        """Everything about one model, copied: the stack may go on."""
        model = self.models[row]
        return Checkpoint(
            config=model.config,
            seed=model.seed,
            theta=self.parameters.theta[row].copy(),
            mask_state=_state(model.masks),
            normalization=self.data.normalization,
            target_normalization=self.data.target_normalization,
            class_names=self.data.class_names,
            kind=self.data.kind,
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

    def without(self, leaving: Collection[int]) -> Stack | None:
        """A stack of the models in the other rows, or None if there are none."""
        stay = [row for row in range(len(self.models)) if row not in leaving]
        if not stay:
            return None
        models = [self.models[row] for row in stay]
        places, changes = [model.place for model in models], [model.changes for model in models]
        return Stack([self.checkpoint(row) for row in stay], places, self.data, changes)


def useful_models(config: TrainConfig, data: Data) -> int:
    """How many models of this shape to train as one stack: as many as the cache holds, from 1 to 32.

    The working set of a model is theta, its gradient and moments, and Z, A and their gradients for a batch.
    """
    shape = Architecture.of(config, data.train.X.shape[1], data.train.Y.shape[1], data.loss)
    batch = batch_size_for(config.batch_size, len(data.train))
    numbers = 5 * shape.layout().size + 4 * batch * sum(shape.sizes)
    return max(1, min(LARGEST_STACK, CACHE // (4 * numbers)))


def first_checkpoint(config: TrainConfig, data: Data, seed: int) -> Checkpoint:
    """A model that has not taken a step: weights drawn from the seed, everything else as it begins."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(0,))))
    shape = Architecture.of(config, data.train.X.shape[1], data.train.Y.shape[1], data.loss)
    parameters = shape.parameters()
    for name, W in shape.first_weights(config, rng).items():
        parameters.values[name][...] = W
    return Checkpoint(
        config=config,
        seed=seed,
        theta=parameters.theta,
        mask_state=_state(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(2,)))),
        normalization=data.normalization,
        target_normalization=data.target_normalization,
        class_names=data.class_names,
        kind=data.kind,
    )


def _model(place: int, checkpoint: Checkpoint, changes: Changes) -> Model:
    masks = np.random.SFC64(0)
    masks.state = masks.state | {"state": {"state": checkpoint.mask_state}}
    plateau = Plateau(checkpoint.plateau_best, checkpoint.plateau_epochs)
    return Model(place, checkpoint.seed, checkpoint.config, masks, plateau, checkpoint.metrics, changes)


def _state(generator: np.random.SFC64) -> Array:
    return np.array(generator.state["state"]["state"], np.uint64)


def _check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    first = checkpoints[0]
    for other in checkpoints[1:]:
        if shared_fields(other.config) != shared_fields(first.config):
            raise ConfigError("Models that train as a stack may differ in seed, initializer and live fields only.")
        if (other.step, other.epoch, other.position) != (first.step, first.epoch, first.position):
            raise ConfigError(f"A stack cannot join models at steps {first.step} and {other.step}.")
