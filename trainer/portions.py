"""Portions: the npz files of a stream, checked one by one against the first of them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer import normalization
from trainer.datasets import DataError, checked
from trainer.normalization import Normalization
from trainer.parameters import Array


@dataclass(frozen=True)
class Portion:
    """Examples that came together: X `[m, n]` float64, NaN where a value is missing, and targets Y `[m, C]`.

    sha256: of X's and y's shapes, types and bytes, so that what arrives twice is known by whatever name. Y is one-hot
    for classes, 0, 1 or NaN for labels, and numbers in their own units for values.
    """

    name: str
    sha256: str
    X: Array
    Y: Array

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Form:
    """What all portions of a stream have in common, read from the first: see `datasets.Dataset`.

    indexed: y are numbers into the class names, which the first portion brought.
    """

    inputs: int
    kind: str
    names: tuple[str, ...]
    indexed: bool


class Unreadable(DataError):
    """A file that is no portion; `sha256` is of its bytes, or of its arrays where it has them."""

    def __init__(self, sha256: str, why: str) -> None:
        super().__init__(why)
        self.sha256 = sha256


def read(path: Path, form: Form | None, loss: str) -> tuple[Portion, Form]:
    """The portion in a file, and the form, which the first portion (form None) gives.

    A portion has arrays X `[m, ...]` of numbers and y as `datasets.load` describes them, and class_names if it likes.
    Raises:
        Unreadable: torn, empty, of another shape, not finite, or targets that do not fit; a sentence says which.
    """
    content = path.read_bytes()
    arrays = _arrays(path, content)
    X, y = arrays["X"], arrays["y"]
    sha256 = _hash(X, y)
    try:
        flat = _inputs(path.name, X)
        if form is None:
            form = _form(path.name, flat, y, arrays.get("class_names"), loss)
        if flat.shape[1] != form.inputs:
            raise DataError(f"{path.name} has {flat.shape[1]} features, the portions before it {form.inputs}.")
        Y = _targets(path.name, y, arrays.get("class_names"), form)
        if len(Y) != len(flat):
            raise DataError(f"{path.name}: X has {len(flat)} rows, y {len(Y)}.")
    except DataError as error:
        raise Unreadable(sha256, str(error)) from None
    return Portion(path.name, sha256, flat, Y), form


def _arrays(path: Path, content: bytes) -> dict[str, Array]:
    raw = hashlib.sha256(content).hexdigest()
    if not content:
        raise Unreadable(
            raw, f"{path.name} is empty; write a portion under another name and rename it when it is whole."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # what is no npz file breaks the readers of zip and npy in many ways
        hint = "write it under another name and rename it when it is whole"
        raise Unreadable(raw, f"{path.name} is torn, or no npz file ({str(error)[:100]}); {hint}.") from None
    if missing := [name for name in ("X", "y") if name not in arrays]:
        raise Unreadable(raw, f"{path.name} has no array {' and no array '.join(missing)}.")
    return arrays


def _hash(X: Array, y: Array) -> str:
    found = hashlib.sha256()
    for array in (X, y):
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _inputs(name: str, X: Array) -> Array:
    if X.ndim < 2 or X.size == 0:
        raise DataError(f"{name} has no examples: X has shape {X.shape}.")
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers; it has dtype {X.dtype}.")
    flat: Array = X.reshape(len(X), -1).astype(np.float64)
    if np.isinf(flat).any():
        raise DataError(f"{name}: X must be finite numbers, or NaN where one is missing; it holds infinite ones.")
    return flat


def _form(name: str, X: Array, y: Array, class_names: Array | None, loss: str) -> Form:
    names = None if class_names is None else tuple(str(label) for label in class_names)
    dataset = checked(name, np.nan_to_num(X), y, names, loss=loss)
    return Form(X.shape[1], dataset.kind, dataset.names, indexed=names is not None and y.dtype.kind not in "US")


def _targets(name: str, y: Array, class_names: Array | None, form: Form) -> Array:
    """Y `[m, C]`."""
    if class_names is not None and tuple(str(label) for label in class_names) != form.names:
        raise DataError(f"{name}: its class_names are others than those of the first portion.")
    if form.kind == "classes":
        return np.eye(len(form.names))[_classes(name, y, form)]
    if y.dtype.kind not in "biuf":
        raise DataError(f"{name}: targets y must be numbers; they have dtype {y.dtype}.")
    Y: Array = y.reshape(len(y), -1).astype(np.float64) if y.ndim else np.empty((0, 0))
    if Y.shape[1] != len(form.names):
        raise DataError(f"{name}: y has {Y.shape[1]} columns, the portions before it {len(form.names)}.")
    if form.kind == "labels" and not np.all(np.isnan(Y) | (Y == 0) | (Y == 1)):
        raise DataError(f"{name}: labels must be 0 and 1 (NaN where one is missing).")
    if form.kind == "values" and not np.isfinite(Y).all():
        raise DataError(f"{name}: targets must be finite.")
    return Y


def _classes(name: str, y: Array, form: Form) -> Array:
    """Class numbers `[m]`."""
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        raise DataError(f"{name}: y must have one class for each example; its shape is {y.shape}.")
    if y.dtype.kind == "f":
        if not np.array_equal(y, np.round(y)):
            raise DataError(f"{name}: classes y must be whole numbers or strings.")
        y = y.astype(np.int64)
    if form.indexed and y.dtype.kind not in "US":
        if len(y) and not 0 <= y.min() <= y.max() < len(form.names):
            raise DataError(f"{name}: labels y must be numbers 0 to {len(form.names) - 1}, one for each class name.")
        return y.astype(np.intp)
    number_of = {told: number for number, told in enumerate(form.names)}
    distinct, places = np.unique(y, return_inverse=True)
    told = [label.decode(errors="replace") if isinstance(label, bytes) else str(label) for label in distinct]
    if unknown := [label for label in told if label not in number_of]:
        hint = "give the first portion an array class_names with all of them"
        raise DataError(f"{name}: the first portion had no class {unknown[0][:40]!r}; {hint}.")
    numbers: Array = np.array([number_of[label] for label in told], np.intp)[places]
    return numbers


@dataclass(frozen=True)
class Seen:
    """What is known of the inputs from the portions so far: how many values of each feature, their mean, sum of squared
    differences from it, and range, `[n]` each. So a normalisation never looks ahead."""

    count: Array
    mean: Array
    squares: Array
    low: Array
    high: Array

    @classmethod
    def nothing(cls, n: int) -> Seen:
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, np.inf), np.full(n, -np.inf))

    def and_of(self, X: Array) -> Seen:
        """With the examples X `[m, n]` as well (Chan, Golub and LeVeque 1983, formula 2.1)."""
        there = ~np.isnan(X)
        m = there.sum(axis=0).astype(float)
        filled = np.where(there, X, 0.0)
        mean = filled.sum(axis=0) / np.maximum(m, 1)
        squares = np.where(there, np.square(X - mean), 0.0).sum(axis=0)
        both = np.maximum(self.count + m, 1)
        gap = mean - self.mean
        return Seen(
            self.count + m,
            np.where(m > 0, self.mean + gap * m / both, self.mean),
            self.squares + squares + np.where(m > 0, gap * gap * self.count * m / both, 0.0),
            np.minimum(self.low, np.where(there, X, np.inf).min(axis=0)),
            np.maximum(self.high, np.where(there, X, -np.inf).max(axis=0)),
        )

    def normalization(self) -> Normalization:
        """Mean 0 and variance 1 by all that was seen; a constant feature keeps sigma 1."""
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        return normalization.of(self.mean, deviation)

    def as_json(self) -> dict[str, Any]:
        return {name: array.tolist() for name, array in vars(self).items()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Seen:
        return cls(**{name: np.array(values, np.float64) for name, values in told.items()})
