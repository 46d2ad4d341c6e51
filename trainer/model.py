"""One model of a stack: how it begins, and how it comes out of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.preparation import Data
from trainer.layers.parameters import Array
from trainer.optim.plateaus import Plateau

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


def first_checkpoint(config: TrainConfig, data: Data, seed: int) -> Checkpoint:
    """A model at step 0: its weights are drawn from the seed, and no average has begun."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(0,))))
    shape = config.architecture(data.train.X.shape[1], data.train.Y.shape[1], data.loss)
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
    )


def _state_of(generator: np.random.SFC64) -> Array:
    return np.array(generator.state["state"]["state"], np.uint64)
