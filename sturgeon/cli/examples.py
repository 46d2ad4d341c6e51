"""Reading the examples that `sturgeon predict` is given: an npz file, or rows of numbers as CSV."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.streams import read_input
from trainer.data.arrays import read_npz
from trainer.data.cells import LARGEST, numbers
from trainer.data.columns import read_column
from trainer.data.datasets import decoded, exact_floats, is_one_hot, one_column_as_vector
from trainer.data.encoding import Encoding
from trainer.data.errors import DataError
from trainer.data.loading import class_names
from trainer.data.tables import FOUND, Table, parse_table, read_table
from trainer.layers.parameters import Array


@dataclass(frozen=True)
class Examples:
    """X `[m, n]` (finite), the targets y `[m]` or `[m, C]` if there are any, and the names of y's classes.

    unseen: how many cells of a column hold a category that the model has no input for.
    """

    source: str
    X: Array
    y: Array | None = None
    class_names: tuple[str, ...] | None = None
    unseen: dict[str, int] = field(default_factory=dict)

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


def read_examples(file: Path, encoding: Encoding | None = None) -> Examples:
    """The examples of an npz file (known by its first bytes) or a CSV file; `-` is CSV on standard input.

    encoding: of a model that learnt from a csv file. CSV is read and encoded as that file was.

    Raises: WrongInput (the file cannot be read, or has other columns; the sentence says where).
    """
    dialect = FOUND if encoding is None else dataclasses.replace(encoding.dialect, header=False)
    try:
        if str(file) != "-":
            with file.open("rb") as content:
                if content.read(2) == b"PK":
                    return _from_npz(file)
            table = read_table(file, dialect)
        else:
            table = parse_table("standard input", read_input("replace"), dialect)
        return _from_table(table) if encoding is None else _encoded(table, encoding)
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


def _encoded(table: Table, encoding: Encoding) -> Examples:
    """The columns that the model learnt from, found by their names: others are not read. Without a header, all columns.

    Raises: DataError (a column is missing, or a cell does not fit), WrongInput (there are more columns than names).
    """
    names = [column.name for column in encoding.columns]
    first = dataclasses.replace(table, header=tuple(table.rows[0]))
    if encoding.dialect.header and set(names) & {first.name(place) for place in range(table.width)}:
        if len(table.rows) == 1:
            raise WrongInput(f"{table.source} has no rows below its header.")
        table = dataclasses.replace(first, rows=table.rows[1:], lines=table.lines[1:])
    here = [table.name(place) for place in range(table.width)]
    if table.header is None and table.width == len(names):
        places = list(range(table.width))
    elif lacking := [name for name in names if name not in here]:
        raise WrongInput(f"{table.source} has no {lacking[0]}; the model takes {', '.join(names)[:300]}.")
    else:
        places = [here.index(name) for name in names]
    read = [read_column(table, place, ours.kind) for place, ours in zip(places, encoding.columns, strict=True)]
    columns = [dataclasses.replace(column, name=name) for (column, _), name in zip(read, names, strict=True)]
    X, unseen = encoding.apply(table.source, columns, np.column_stack([values for _, values in read]))
    return Examples(table.source, X, unseen=unseen)
