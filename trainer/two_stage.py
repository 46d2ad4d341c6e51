"""Row 29 of the notes: a pipeline of two stages against one network, as the data grow.

A scene is a digit somewhere in a larger picture, beside a piece of another digit, and noise. The first stage of a
pipeline is designed by people: it cuts out the window with the most ink. The second one is a network that reads the
window, or, in the coarse pipeline, only how much ink there is in 16 fields of it. End to end is the same network on the
whole scene: nobody tells it where to look, so it needs more scenes. All get the same ones; those for the test are made
of digits that no other scene has.

    {"kind": "python", "call": "trainer.two_stage:error"}      a worker runs it with --allow-python trainer.two_stage
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np

from trainer.config import TrainConfig
from trainer.data.bundled import load_bundled
from trainer.data.datasets import checked
from trainer.data.preparation import split_up
from trainer.layers.parameters import Array
from trainer.training import train

Approach = Literal["pipeline", "coarse_pipeline", "end_to_end"]

SIDE: Final = 8
SCENE: Final = 11
PIECE: Final = 4
FOR_TEST: Final = 2000
SIZES: Final = (100, 300, 1000, 3000, 10_000, 30_000)
PASSES: Final = 150_000
"""Examples that a training looks at in all, as far as that takes 3 to 60 epochs: then the sizes differ in their data,
not in how long they train."""


class Scenes(NamedTuple):
    """Pictures `[m, SCENE, SCENE]`, the digits in them `[m]`, and where these begin, row and column `[m, 2]`."""

    pictures: Array
    digits: Array
    places: Array


class Trial(Protocol):
    """What a worker gives: the parameters and the seed."""

    params: Any
    seed: int


def error(trial: Trial) -> Iterator[dict[str, float]]:
    """The share of wrong digits for growing numbers of scenes: `approach` is a parameter, the number is the epoch."""
    size = int(trial.params.get("scenes", SIZES[-1]))
    for step, scenes in enumerate((one for one in SIZES if one <= size), start=1):
        yield {"step": step, "epoch": scenes, "error": share_wrong(trial.params["approach"], scenes, trial.seed)}


def share_wrong(approach: Approach, scenes: int, seed: int) -> float:
    """Train on so many scenes, and read those for the test."""
    X, labels, _ = load_bundled("digits")
    pictures = X.reshape(-1, SIDE, SIDE) / 16.0
    order = np.random.default_rng(0).permutation(len(pictures))
    rng = np.random.default_rng([seed % 2**32, scenes])
    known = make_scenes(pictures[order[:1200]], labels[order[:1200]], scenes, rng)
    unknown = make_scenes(pictures[order[1200:]], labels[order[1200:]], FOR_TEST, np.random.default_rng(1))
    inputs = [_first_stage(approach, one.pictures) for one in (known, unknown)]
    X, y = np.concatenate(inputs), np.concatenate([known.digits, unknown.digits])
    epochs = min(60, max(3, PASSES // scenes))
    config = TrainConfig("scenes", epochs=epochs, hidden_units=128, learning_rate=0.002, batch_size=64, dev_share=0.0)
    data = split_up(checked("scenes", X, y, given={"test": np.arange(scenes, len(X))}, several_each=False), config)
    *_, last = train(config, data, seed % 2**32)
    return last.metrics["test_error"]


def _first_stage(approach: Approach, pictures: Array) -> Array:
    """What the network sees, one row a scene."""
    if approach == "end_to_end":
        return pictures.reshape(len(pictures), -1)
    windows = window_with_most_ink(pictures)
    if approach == "coarse_pipeline":
        windows = windows.reshape(len(windows), 4, SIDE // 4, 4, SIDE // 4).mean(axis=(2, 4))
    return windows.reshape(len(windows), -1)


def make_scenes(pictures: Array, labels: Array, count: int, rng: np.random.Generator) -> Scenes:
    """Scenes of pictures `[m, SIDE, SIDE]` in 0 .. 1 that are drawn with replacement."""
    chosen, others = rng.integers(0, len(pictures), (2, count))
    found = np.zeros((count, SCENE, SCENE))
    _put(found, _piece(pictures[others], rng), rng.integers(0, SCENE - PIECE + 1, (count, 2)))
    places = rng.integers(0, SCENE - SIDE + 1, (count, 2))
    _put(found, pictures[chosen], places)
    return Scenes(found + rng.normal(0, 0.1, found.shape), labels[chosen], places)


def window_with_most_ink(pictures: Array) -> Array:
    """The first stage: of each scene the window `[m, SIDE, SIDE]` that is darkest in all."""
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (SIDE, SIDE), axis=(1, 2))
    ink = windows.sum(axis=(-2, -1)).reshape(len(pictures), -1)
    row, column = np.unravel_index(ink.argmax(axis=1), windows.shape[1:3])
    found: Array = windows[np.arange(len(pictures)), row, column]
    return found


def _piece(pictures: Array, rng: np.random.Generator) -> Array:
    """A corner of each picture `[m, PIECE, PIECE]`, somewhere in it."""
    begin = rng.integers(0, SIDE - PIECE + 1, (len(pictures), 2))
    rows, columns = (begin[:, axis, None] + np.arange(PIECE) for axis in (0, 1))
    found: Array = pictures[np.arange(len(pictures))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found


def _put(scenes: Array, pictures: Array, places: Array) -> None:
    """Draw a picture into each scene, over what is there where it is darker."""
    rows, columns = (places[:, axis, None] + np.arange(pictures.shape[1]) for axis in (0, 1))
    where = np.arange(len(scenes))[:, None, None], rows[:, :, None], columns[:, None, :]
    scenes[where] = np.maximum(scenes[where], pictures)
