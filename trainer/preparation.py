"""From a config to the arrays that a run reads: loaded, split, normalised by the training part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer import normalization
from trainer.config import TrainConfig
from trainer.datasets import DataError, Dataset, load
from trainer.normalization import Normalization
from trainer.parameters import Array
from trainer.splits import stratified


@dataclass(frozen=True)
class Part:
    """One part of the data: X `[m, n]` and Y `[m, C]`, float32, and the rows of the data set they are."""

    X: Array
    Y: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Data:
    """What a run trains and is measured on; runs of one study share it."""

    train: Part
    dev: Part
    test: Part
    normalization: Normalization
    class_names: tuple[str, ...]


def prepare(config: TrainConfig, data_dirs: Sequence[Path] = ()) -> Data:
    """The data of a config; `npz:` files are looked up below data_dirs only.

    Raises:
        DataError: see `datasets.load` and `splits.stratified`, and one class only in the training part.
    """
    return split_up(load(config.dataset, data_dirs), config)


def split_up(dataset: Dataset, config: TrainConfig) -> Data:
    """The parts of a loaded data set that a config asks for."""
    split = stratified(dataset.y, config.dev_share, config.test_share, config.split_seed)
    if len(np.unique(dataset.y[split.train])) < 2:
        raise DataError(f"{dataset.name}: the training part has one class only; give it more examples.")
    X = dataset.X
    normal = (
        normalization.fit(X[split.train]) if config.normalize_inputs else normalization.identity(X.shape[1])
    )
    one_hot = np.eye(len(dataset.class_names), dtype=np.float32)[dataset.y]
    train, dev, test = (
        Part(normal.apply(X[rows]), one_hot[rows], rows) for rows in (split.train, split.dev, split.test)
    )
    return Data(train, dev, test, normal, dataset.class_names)
