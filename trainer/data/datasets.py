"""Data sets: examples X and targets y, and the checks that all data pass before anything trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.layers.parameters import Array


class DataError(ValueError):
    """Data that cannot be found, or cannot be trained on; the sentence says what is wrong and where."""


@dataclass(frozen=True)
class Dataset:
    """X `[m, n]` float64 with targets of one kind.

    kind: "classes": y `[m]` has class numbers 0 .. C-1. "labels": y `[m, C]` has 0 and 1, and NaN where a label is
        missing (multi-task learning). "values": y `[m, C]` has numbers (regression).
    names: of the C classes, labels or values. given: rows of dev and test, where the data bring these parts.
    synthetic: rows that are made up; they are trained on, but never in dev or test.
    """

    name: str
    kind: str
    X: Array
    y: Array
    names: tuple[str, ...]
    given: dict[str, Array] = field(default_factory=dict)
    synthetic: Array = field(default_factory=lambda: np.empty(0, np.intp))


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

    Raises: DataError (not numbers, NaN or infinite, no examples, lengths that differ, labels outside of the classes,
    fewer than two classes, or targets that do not suit the loss).
    """
    flat = _checked_inputs(name, X)
    _check_targets_fit(name, X, y)
    kind = _kind(name, y, loss)
    if kind == "classes":
        targets, target_names = _classes(name, y, names)
    else:
        targets = y.reshape(len(y), -1).astype(np.float64)
        columns = targets.shape[1]
        target_names = tuple(names) if names and len(names) == columns else tuple(f"y{i}" for i in range(columns))
        _check_numbers(name, kind, targets)
    rows = np.arange(0) if synthetic is None else synthetic
    return Dataset(name, kind, flat, targets, target_names, given or {}, rows)


def _checked_inputs(name: str, X: Array) -> Array:
    """X `[m, n]` as finite float64."""
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers, all rows of one length; it has dtype {X.dtype}.")
    if X.ndim < 2 or X.size == 0:
        raise DataError(f"{name}: X must have examples and features; its shape is {X.shape}.")
    flat = X.reshape(len(X), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        row, column = np.argwhere(~np.isfinite(flat))[0]
        raise DataError(f"{name}: X must be finite; row {row}, feature {column} is {flat[row, column]}.")
    return flat


def _check_targets_fit(name: str, X: Array, y: Array) -> None:
    if y.ndim not in (1, 2) or len(y) != len(X) or y.size == 0:
        raise DataError(f"{name}: y must have a target for each of the {len(X)} rows of X; its shape is {y.shape}.")
    if y.dtype.kind not in "biufUS":
        raise DataError(f"{name}: targets y must be numbers or strings; they have dtype {y.dtype}.")


def _kind(name: str, y: Array, loss: str) -> str:
    """The kind of the targets, from their shape and dtype, and from the loss asked for."""
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
        class_names = tuple(str(label) for label in distinct)
    elif y.dtype.kind in "US" or y.min() < 0 or y.max() >= len(names):
        raise DataError(f"{name}: labels y must be numbers 0 to {len(names) - 1}, one for each class name.")
    else:
        numbers, class_names = y.astype(np.int64), tuple(names)
    if len(np.unique(numbers)) < 2:
        raise DataError(f"{name}: y has only the class {class_names[numbers[0]]!r}; at least two are needed.")
    return numbers, class_names
