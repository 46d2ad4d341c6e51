"""From a config to the arrays that a run reads: the data are loaded, split, and normalised by the training part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from trainer.config import TrainConfig
from trainer.data import normalization
from trainer.data.datasets import Dataset
from trainer.data.dialects import Dialect
from trainer.data.encoding import Encoding, fit
from trainer.data.errors import DataError
from trainer.data.images import ImageShape
from trainer.data.label_noise import with_noise
from trainer.data.loading import load
from trainer.data.normalization import Normalization
from trainer.data.similarity import largest_difference
from trainer.data.splits import shares, stratified
from trainer.data.summary import summary
from trainer.layers.losses import LOSS_OF, has_spread
from trainer.layers.parameters import Array
from trainer.memory import memory_problem

MOST_DEVIATIONS: Final = 1e15
"""Larger numbers overflow when they are squared and summed in float32, whatever the parameters are."""


@dataclass(frozen=True)
class Part:
    """One part of the data: X `[m, n]` and Y `[m, C]`, float32, and their rows in the data set.

    Y is one-hot for classes, 0 or 1 or NaN for labels, and normalised for values.
    """

    X: Array
    Y: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.X)

    def subset(self, places: Array) -> Part:
        """The examples at these positions in the part."""
        return Part(self.X[places], self.Y[places], self.rows[places])


@dataclass(frozen=True)
class Data:
    """The data that a run trains on and is measured on; runs of one study share them.

    parts: train, dev, test, train_dev (of train's distribution, not trained on) and synthetic (the made-up examples of
    train, by themselves); all but train may be empty. warnings: sentences about data that will mislead. passes: how
    often an epoch goes through train; more than once only with a stream's portions. undefined: why a part has no error,
        by its name. summary: what the data set was read as, see `summary.summary`; empty for a stream. encoding: how
        columns of a csv file became the n features of X. image: the shape of the pictures that X are, if they are any.
    """

    kind: str
    parts: dict[str, Part]
    normalization: Normalization
    target_normalization: Normalization
    class_names: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    passes: int = 1
    undefined: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    encoding: Encoding | None = None
    image: ImageShape | None = None

    @property
    def loss(self) -> str:
        """The name of the loss that suits the targets."""
        return LOSS_OF[self.kind]

    @property
    def train(self) -> Part:
        return self.parts["train"]

    @property
    def dev(self) -> Part:
        return self.parts["dev"]

    @property
    def test(self) -> Part:
        return self.parts["test"]


def prepare(
    config: TrainConfig,
    data_dirs: Sequence[Path] = (),
    inputs: Normalization | None = None,
    encoding: Encoding | None = None,
) -> Data:
    """The data of a config; files are looked up below data_dirs only.

    inputs, encoding: those to use instead of the training part's own; transfer needs those of the source model.

    Raises: DataError (see `loading.load` and `splits.stratified`; or the training part has one class only).
    """
    dataset = load(
        config.dataset,
        data_dirs,
        target=config.target,
        drop=config.drop,
        categories=config.categories,
        dialect=Dialect(config.delimiter, config.decimal, config.encoding, config.header),
        loss=config.loss,
    )
    return split_up(dataset, config, inputs, encoding)


def split_up(
    dataset: Dataset, config: TrainConfig, inputs: Normalization | None = None, encoding: Encoding | None = None
) -> Data:
    """The parts of a loaded data set that a config asks for. See `prepare`."""
    rows = _rows(dataset, config)
    dataset, encoding = _encoded(dataset, rows["train"], encoding)
    y, X, train = dataset.y, dataset.X, rows["train"]
    if dataset.kind == "classes":
        if len(np.unique(y[train])) < 2:
            raise DataError(f"{dataset.name}: the training part has one class only; give it more examples.")
        y = y.copy()
        y[train] = with_noise(y[train], len(dataset.names), config.label_noise, config.split_seed)
        Y = _one_hot(dataset.name, y, len(dataset.names))
    else:
        Y = y
    targets = normalization.identity(Y.shape[1])
    if dataset.kind == "values":
        targets = normalization.fit(Y[train])
        if (np.ptp(Y[train], axis=0) == 0).all():
            raise DataError(
                f"{dataset.name}: all targets of the training part are the same; there is nothing to learn."
            )
    if inputs is None:
        fitted = normalization.fit(X[train]) if config.normalize_inputs else None
        inputs = fitted or normalization.identity(X.shape[1])
    elif len(inputs.mean) != X.shape[1]:
        raise DataError(f"{dataset.name} has {X.shape[1]} features, the first model {len(inputs.mean)}.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        parts = {name: Part(inputs.apply(X[r]), targets.apply(Y[r]), r) for name, r in rows.items()}
    for part in parts.values():
        _require_moderate(dataset.name, "feature", X, part.X, part.rows)
        _require_moderate(dataset.name, "target", Y, part.Y, part.rows)
    return Data(
        dataset.kind,
        parts,
        inputs,
        targets,
        dataset.names,
        (*dataset.notes, *_warnings(parts), *_unlearnt(dataset, rows)),
        undefined=_undefined(dataset.kind, parts),
        summary=summary(dataset, rows, encoding),
        encoding=encoding,
        image=dataset.image,
    )


def _encoded(dataset: Dataset, train: Array, encoding: Encoding | None) -> tuple[Dataset, Encoding | None]:
    """The data set with the columns of a csv file as inputs, and their encoding; others as they are."""
    if not dataset.columns:
        return dataset, None
    encoding = encoding or fit(dataset.name, dataset.columns, dataset.X[train], dataset.dialect)
    X, _ = encoding.apply(dataset.name, dataset.columns, dataset.X)
    return dataclasses.replace(dataset, X=X, inputs=encoding.names()), encoding


def _one_hot(name: str, y: Array, classes: int) -> Array:
    """`[m, C]`. Raises: DataError (it does not fit into memory)."""
    if problem := memory_problem(f"{name}: {len(y)} examples of {classes} classes", 12 * len(y) * classes):
        raise DataError(problem, here_only=True)
    Y = np.zeros((len(y), classes))
    Y[np.arange(len(y)), y] = 1
    return Y


def require_metric(data: Data, metric: str | None) -> None:
    """Raises: DataError (the metric of a study is not defined on these data)."""
    part, _, measure = (metric or "").rpartition("_")
    if part not in data.parts:
        return
    if not len(data.parts[part]):
        raise DataError(f"The {part} part has no examples, so {metric} is not defined.")
    if measure == "error" and part in data.undefined:
        raise DataError(f"{data.undefined[part]}, so {metric} is not defined.")


def _require_moderate(name: str, what: str, values: Array, normal: Array, rows: Array) -> None:
    """Raises: DataError (a normalised value whose square float32 can hardly hold)."""
    largest = max(np.fmax.reduce(normal, axis=None, initial=0), -np.fmin.reduce(normal, axis=None, initial=0))
    if largest > MOST_DEVIATIONS:
        row, column = np.argwhere(np.abs(normal) > MOST_DEVIATIONS)[0]
        raise DataError(
            f"{name}: {what} {column} of row {rows[row]} is {values[rows[row], column]:g}, which is "
            f"{normal[row, column]:.0e} as the network gets it. Such numbers cannot be trained on: correct it, or "
            "normalise the inputs."
        )


def _undefined(kind: str, parts: Mapping[str, Part]) -> dict[str, str]:
    """Why parts with examples have no error."""
    reasons = {}
    for name, part in parts.items():
        if len(part) and kind == "values" and not has_spread(part.Y):
            reasons[name] = (
                f"The targets of the {name} part ({len(part)} examples) do not differ, or by less than a millionth of "
                "the training part's deviation"
            )
        if len(part) and kind == "labels" and np.isnan(part.Y).all():
            reasons[name] = f"All labels of the {name} part are missing"
    return reasons


def _rows(dataset: Dataset, config: TrainConfig) -> dict[str, Array]:
    """Row numbers of each part; parts that the data bring stay as they are."""
    own = np.setdiff1d(np.arange(len(dataset.X)), np.concatenate([dataset.synthetic, *dataset.given.values()]))
    if not len(own):
        raise DataError(f"{dataset.name}: all rows of X are synthetic; a model is measured on others.")
    dev, test = shares(len(own), config.dev_share, config.test_share)
    wanted = {name: share for name, share in (("dev", dev), ("test", test)) if name not in dataset.given}
    left = 1 - sum(wanted.values())
    wanted["train_dev"] = config.train_dev_share * left
    strata = dataset.y if dataset.kind == "classes" else np.zeros(len(dataset.X), np.intp)
    split = {name: own[places] for name, places in stratified(strata[own], wanted, config.split_seed).items()}
    rows = split | dataset.given
    return rows | {
        "train": np.sort(np.concatenate([rows["train"], dataset.synthetic])),
        "synthetic": dataset.synthetic,
    }


def _unlearnt(dataset: Dataset, rows: Mapping[str, Array]) -> list[str]:
    """One sentence for each part with classes that no example of train has."""
    if dataset.kind != "classes":
        return []
    return [
        f"The training part has no example of the class {dataset.names[alone[0]][:40]!r}, the {name} part has."
        for name in ("dev", "test")
        if len(alone := np.setdiff1d(dataset.y[rows[name]], dataset.y[rows["train"]]))
    ]


def _warnings(parts: dict[str, Part]) -> tuple[str, ...]:
    """One sentence for each part whose features are not distributed as those of train."""
    sentences = []
    for name in ("dev", "test"):
        if len(parts[name]):
            difference = largest_difference(parts["train"].X, parts[name].X)
            if difference.alarming:
                sentences.append(
                    f"The {name} part is not distributed as the training part: feature {difference.feature} differs "
                    f"most (Kolmogorov-Smirnov {difference.statistic:.2f}, p = {difference.p:.1g})."
                )
    return tuple(sentences)
