from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from trainer.config import TrainConfig
from trainer.data.datasets import checked
from trainer.data.preparation import prepare, split_up
from trainer.layers.activations import ACTIVATIONS
from trainer.model import first_checkpoint
from trainer.optim.optimizers import OPTIMIZERS
from trainer.stack import Stack

CONFIG = TrainConfig("digits", epochs=9, hidden_units=(48, 40), batch_size=128)
ALLOWED = 4096
WORK = [
    *({"optimizer": name} for name in OPTIMIZERS),
    *({"activation": name} for name in ACTIVATIONS),
    *({"of": name} for name in ("softmax", "squared", "logistic", "logistic with missing labels")),
    {"batch_norm": True},
    {"averaged_weights": True},
    {"clip_norm": 1.0},
    {"l2": 0.1},
    {"schedule": "cosine"},
    {"frozen_layers": 1},
]


@pytest.fixture(scope="module")
def data():
    """Digits, as each loss wants its targets; what a step allocates for a missing label is measured, too."""
    prepared = {loss: prepare(replace(CONFIG, loss=loss)) for loss in ("softmax", "squared")}
    X, y = load_digits(return_X_y=True)
    labels = np.stack([y % 2, y > 4], axis=1).astype(float)
    for name, missing in {"logistic": 0, "logistic with missing labels": 100}.items():
        labels[:missing, 0] = np.nan
        prepared[name] = split_up(checked("labels", X, labels), CONFIG)
    return prepared


def peak_of_a_step(config, data, models):
    """Bytes by which one step's peak rises over what is held before it."""
    fresh = [first_checkpoint(config, data, seed) for seed in range(models)]
    stack = Stack(fresh, range(models), data, [{}] * models)
    ticks = itertools.count()

    def one_step():
        stack.advance(1, lambda: next(ticks))

    for _ in range(3):
        one_step()
    tracemalloc.start()
    try:
        one_step()  # what tracing itself sets up at its first step
        peaks = []
        for _ in range(3):
            base = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            one_step()
            peaks.append(tracemalloc.get_traced_memory()[1] - base)
        assert stack.step == 7
        return min(peaks)  # tracing sees the threads of the test run, too; what a step needs is in each
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("change", WORK, ids=str)
def test_a_steady_step_allocates_next_to_nothing(change, models, data):
    of = change.get("of", "softmax")
    config = CONFIG if "of" in change else replace(CONFIG, **change)
    assert peak_of_a_step(config, data[of], models) <= ALLOWED


def test_a_dropout_layer_allocates_its_random_bits_and_no_more(data):
    config = replace(CONFIG, keep_prob=0.8)
    bits_of_the_larger_layer = 128 * 48
    assert peak_of_a_step(config, data["softmax"], 1) <= ALLOWED + bits_of_the_larger_layer
