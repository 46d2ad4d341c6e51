"""One model of a stack: how it begins, and how it comes out of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig
from trainer.data.batches import batch_size_for
from trainer.data.preparation import Data
from trainer.layers.network import Architecture
from trainer.layers.parameters import Array
from trainer.memory import memory_problem
from trainer.optim.plateaus import Plateau

COPIES: Final = 8
"""Theta, its gradient, two moments, average, what is evaluated, and two checkpoints."""

Changes = Mapping[int, Mapping[str, object]]
"""Live hyperparameters to change, by the step that they count from (the first step is 1)."""


@dataclass
class Model:
    """What a stack has of each of its models apart from the flat arrays.

    place: its number in the run; it stays when other models leave. masks: the bit generator of its dropout masks.
    """

    place: int
    seed: int
    config: TrainConfig
    masks: np.random.SFC64
    plateau: Plateau
    metrics: dict[str, float]
    changes: Changes = field(default_factory=dict)
    alarms: tuple[str, ...] = ()

    def mask_state(self) -> Array:
        """The state of `masks`, `[4]` uint64, as a checkpoint has it."""
        return _state_of(self.masks)


def model_from_checkpoint(place: int, checkpoint: Checkpoint, changes: Changes) -> Model:
    """A model as it was when the checkpoint was taken."""
    masks = np.random.SFC64(0)
    masks.state = masks.state | {"state": {"state": checkpoint.mask_state}}
    plateau = Plateau(checkpoint.plateau_best, checkpoint.plateau_epochs)
    return Model(place, checkpoint.seed, checkpoint.config, masks, plateau, checkpoint.metrics, changes)


def working_numbers(shape: Architecture, config: TrainConfig, data: Data, copies: int) -> int:
    """The numbers of so many copies of a model's parameters, and of Z, A and their gradients for a batch."""
    batch = batch_size_for(config.batch_size, len(data.train))
    return copies * shape.layout().size + 4 * batch * sum(shape.sizes)


def first_checkpoint(config: TrainConfig, data: Data, seed: int) -> Checkpoint:
    """A model at step 0: its weights are drawn from the seed, and no average has begun.

    Raises: ConfigError (the network needs more memory than there is).
    """
    shape = config.architecture(data.train.X.shape[1], data.train.Y.shape[1], data.loss)
    needed = 4 * working_numbers(shape, config, data, copies=COPIES)
    if problem := memory_problem(f"Training this network of {shape.layout().size:,} parameters", needed):
        raise ConfigError(f"{problem} Write fewer hidden_units, or a smaller batch_size.", here_only=True)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(0,))))
    parameters = shape.parameters()
    for name, W in shape.first_weights(config.initializer, config.init_scale, rng).items():
        parameters.values[name][...] = W
    return Checkpoint(
        config=config,
        seed=seed,
        theta=parameters.theta,
        mask_state=_state_of(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(2,)))),
        normalization=data.normalization,
        target_normalization=data.target_normalization,
        class_names=data.class_names,
        kind=data.kind,
        encoding=data.encoding,
    )


def _state_of(generator: np.random.SFC64) -> Array:
    return np.array(generator.state["state"]["state"], np.uint64)
