"""Data sets: examples X and labels y, checked before anything trains on them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.parameters import Array


class DataError(ValueError):
    """Data that cannot be trained on, or cannot be found; the sentence says what and where."""


@dataclass(frozen=True)
class Dataset:
    """X `[m, n]` float64, y `[m]` class numbers 0 .. C-1, and the names of the C classes."""

    name: str
    X: Array
    y: Array
    class_names: tuple[str, ...]


def load(name: str, data_dirs: Sequence[Path] = ()) -> Dataset:
    """The data set of this name: a bundled one, or `npz:FILE` with arrays X, y below one of data_dirs.

    An npz file may hold `class_names`; then y are numbers that index them. Else the classes are the distinct
    y.

    Raises:
        DataError: an unknown name, a file that is not there or not below data_dirs, or data that fail the
            checks.
    """
    kind, _, file = name.partition(":")
    if kind == "npz" and file:
        arrays = _read_npz(find_file(file, data_dirs))
        for needed in ("X", "y"):
            if needed not in arrays:
                raise DataError(f"{name} has no array {needed}; it has: {', '.join(arrays) or 'none'}.")
        return checked(name, arrays["X"], arrays["y"], arrays.get("class_names"))
    if name not in BUNDLED:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(BUNDLED)}, and npz:FILE.")
    bunch = BUNDLED[name]()
    return checked(name, bunch.data, bunch.target, np.array([str(label) for label in bunch.target_names]))


def _digits() -> Any:
    from sklearn.datasets import load_digits

    return load_digits()


def _breast_cancer() -> Any:
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer()


def _wine() -> Any:
    from sklearn.datasets import load_wine

    return load_wine()


def _iris() -> Any:
    from sklearn.datasets import load_iris

    return load_iris()


BUNDLED: dict[str, Callable[[], Any]] = {
    "digits": _digits,
    "breast_cancer": _breast_cancer,
    "wine": _wine,
    "iris": _iris,
}


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


def checked(name: str, X: Array, y: Array, class_names: Array | None = None) -> Dataset:
    """A data set from raw arrays X `[m, n]` (or `[m, ...]`, made flat) and labels y `[m]`.

    Raises:
        DataError: not numbers, NaN or infinite, no examples, lengths that differ, labels outside of the
            classes, or fewer than two classes.
    """
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers; it has dtype {X.dtype}.")
    if X.ndim < 2 or X.size == 0:
        raise DataError(f"{name}: X must have examples and features; its shape is {X.shape}.")
    flat = X.reshape(len(X), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        row, column = np.argwhere(~np.isfinite(flat))[0]
        raise DataError(f"{name}: X must be finite; row {row}, feature {column} is {flat[row, column]}.")
    if y.shape != (len(X),):
        raise DataError(
            f"{name}: y must have one label for each of the {len(X)} rows of X; its shape is {y.shape}."
        )
    numbers, names = _classes(name, y, class_names)
    if len(np.unique(numbers)) < 2:
        raise DataError(f"{name}: y has only the class {names[numbers[0]]!r}; at least two are needed.")
    return Dataset(name, flat, numbers, names)


def _classes(name: str, y: Array, class_names: Array | None) -> tuple[Array, tuple[str, ...]]:
    if y.dtype.kind == "f" and np.array_equal(y, np.round(y)):
        y = y.astype(np.int64)
    if y.dtype.kind not in "biuUS":
        raise DataError(f"{name}: labels y must be whole numbers or strings; they have dtype {y.dtype}.")
    if class_names is None:
        distinct, numbers = np.unique(y, return_inverse=True)
        return numbers, tuple(str(label) for label in distinct)
    if y.dtype.kind in "US" or y.min() < 0 or y.max() >= len(class_names):
        raise DataError(
            f"{name}: labels y must be numbers 0 to {len(class_names) - 1}, one for each class name."
        )
    return y.astype(np.int64), tuple(str(label) for label in class_names)
