"""Reading the examples that `sturgeon predict` is given: an npz file, or rows of numbers as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.streams import read_input
from trainer.data.arrays import read_npz
from trainer.data.cells import LARGEST, numbers
from trainer.data.datasets import decoded, exact_floats, is_one_hot, one_column_as_vector
from trainer.data.errors import DataError
from trainer.data.loading import class_names
from trainer.data.tables import Table, parse_table, read_table
from trainer.layers.parameters import Array


@dataclass(frozen=True)
class Examples:
    """X `[m, n]` (finite), the targets y `[m]` or `[m, C]` if there are any, and the names of y's classes."""

    source: str
    X: Array
    y: Array | None = None
    class_names: tuple[str, ...] | None = None

    def error(self, kind: str, names: tuple[str, ...], outputs: Array) -> float:
        """The trainer's error of a model's outputs `[m, C]` for its kind of targets (see `trainer.layers.losses`).

        Raises: WrongInput (y does not hold targets of that kind).
        """
        if kind == "classes":
            return float((outputs.argmax(axis=1) != self._class_indices(names)).mean())
        y = self._targets(outputs.shape)
        if kind == "labels":
            labelled = ~np.isnan(y)
            return float(((outputs >= 0.5) != (y > 0.5))[labelled].mean()) if labelled.any() else 0.0
        if (spread := np.square(y - y.mean(axis=0)).sum()) == 0:
            raise WrongInput(f"{self.source}: all targets y are the same, so the error is not defined; leave y out.")
        return float(np.square(outputs - y).sum() / spread)

    def _class_indices(self, names: tuple[str, ...]) -> Array:
        """y as indices of the model's class names. y holds these names or their indices."""
        y = self._integral()
        if is_one_hot(y) and y.shape[1] == len(names):
            y = y.argmax(axis=1)
        if y.ndim != 1:
            raise WrongInput(f"{self.source}: y must be one label a row; it has shape {y.shape}.")
        class_names = self.class_names
        labels = [str(class_names[label]) if class_names else str(label) for label in y.tolist()]
        if set(labels) <= set(names):
            return np.array([names.index(label) for label in labels])
        if y.dtype.kind in "iu" and y.min() >= 0 and y.max() < len(names):
            return y
        unknown = next(label for label in labels if label not in names)
        classes = ", ".join(names[:20])
        raise WrongInput(f"{self.source}: y has the label {unknown[:40]!r}; the model's labels are {classes}.")

    def _targets(self, shape: tuple[int, ...]) -> Array:
        y = np.asarray(self.y)
        if y.dtype.kind not in "biuf" or y.size != np.prod(shape):
            raise WrongInput(f"{self.source}: y must hold {shape[1]} numbers a row; it has shape {y.shape}.")
        return y.reshape(shape).astype(np.float64)

    def _integral(self) -> Array:
        """Labels such as 3.0 as 3, as the trainer reads them."""
        y = np.asarray(self.y)
        return y.astype(np.int64) if y.dtype.kind == "f" and np.array_equal(y, np.round(y)) else y


def read_examples(file: Path) -> Examples:
    """The examples of an npz file (known by its first bytes) or a CSV file; `-` is CSV on standard input.

    Raises: WrongInput (the file cannot be read; the sentence says where).
    """
    try:
        if str(file) == "-":
            return _from_table(parse_table("standard input", read_input("replace")))
        with file.open("rb") as content:
            is_archive = content.read(2) == b"PK"
        return _from_npz(file) if is_archive else _from_table(read_table(file))
    except DataError as error:
        raise WrongInput(f"{error}".rstrip(".") + ".") from None


def _from_npz(file: Path) -> Examples:
    arrays = read_npz(file)
    if "X" not in arrays:
        raise WrongInput(f"{file} has no array X.")
    X, y, names = _checked(str(file), arrays["X"]), arrays.get("y"), class_names(str(file), arrays)
    if y is not None:
        y = one_column_as_vector(decoded(str(file), "y", y))
        if y.ndim == 0 or len(y) != len(X):
            raise WrongInput(f"{file}: y must have a row for each of the {len(X)} rows of X; it has shape {y.shape}.")
    if names is not None and y is not None and not (y.dtype.kind == "U" or _are_indices(y, len(names))):
        raise WrongInput(f"{file}: y must hold indices of class_names, 0 to {len(names) - 1}.")
    if y is not None and y.dtype.kind == "U":
        names = None  # y names the classes itself
    return Examples(str(file), X, y, names)


def _checked(source: str, X: Array) -> Array:
    if X.dtype.kind not in "biuf" or X.ndim < 2 or X.size == 0:
        raise WrongInput(f"{source}: X must hold numbers, a row for each example; it has shape {X.shape}.")
    flat = exact_floats(source, "X", X.reshape(len(X), -1))
    if not (np.abs(flat) <= LARGEST).all():
        row = int(np.argwhere(~(np.abs(flat) <= LARGEST))[0][0])
        raise WrongInput(f"{source}: row {row} of X has a value that is not finite, or larger than {LARGEST:.2g}.")
    return flat


def _are_indices(y: Array, count: int) -> bool:
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and np.array_equal(y, np.round(y)))
    return whole and bool((y >= 0).all() and (y < count).all())


def _from_table(table: Table) -> Examples:
    """Numbers, a row for each example."""
    columns = [numbers(table.cells(place), table.where(place), table.source) for place in range(table.width)]
    return Examples(table.source, np.column_stack(columns))
