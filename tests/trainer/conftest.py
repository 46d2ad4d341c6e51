from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint
from trainer.config import TrainConfig
from trainer.data.datasets import checked
from trainer.data.preparation import Data, split_up
from trainer.model import first_checkpoint


def in_float64(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, theta=checkpoint.theta.astype(np.float64))


@pytest.fixture
def small_data() -> Data:
    """150 examples of 3 overlapping classes with 6 features: 90 train, 30 dev, 30 test."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 150)
    X = rng.standard_normal((150, 6)) + y[:, None] * np.array([1, -1, 0.5, 0, 0, 2.0])
    return split_up(checked("small", X, y), TrainConfig("small"))


@pytest.fixture
def exact_start():
    """First checkpoint of a config on data, in float64."""
    return lambda config, data, seed=0: in_float64(first_checkpoint(config, data, seed))
