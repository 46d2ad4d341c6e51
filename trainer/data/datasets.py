"""Data sets: examples X and targets y, and the checks that all data pass before anything trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.data.cells import LARGEST, label_problem, look_alike
from trainer.data.columns import Column
from trainer.data.dialects import Dialect
from trainer.data.errors import DataError
from trainer.data.images import ImageShape, image_shape
from trainer.layers.parameters import Array


@dataclass(frozen=True)
class Dataset:
    """X `[m, n]` float64 with targets of one kind.

    kind: "classes": y `[m]` has class numbers 0 .. C-1. "labels": y `[m, C]` has 0 and 1, and NaN where a label is
        missing (multi-task learning). "values": y `[m, C]` has numbers (regression).
    names: of the C classes, labels or values. given: rows of dev and test, where the data bring these parts.
    synthetic: rows that are made up; they are trained on, but never in dev or test. inputs: names of the n features,
    where the data have some. dropped: columns that are not read. columns: of a csv file, what the n columns of X hold,
    which `encoding.fit` turns into inputs; X is NaN where a cell is missing, missing_inputs: how often in each column.
    dialect: how that file is written. notes: sentences about columns that mislead. image: the shape of
    the pictures that the rows of X are, if they are any.
    """

    name: str
    kind: str
    X: Array
    y: Array
    names: tuple[str, ...]
    given: dict[str, Array] = field(default_factory=dict)
    synthetic: Array = field(default_factory=lambda: np.empty(0, np.intp))
    inputs: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    missing_inputs: tuple[int, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)
    notes: tuple[str, ...] = ()
    image: ImageShape | None = None


def checked(
    name: str,
    X: Array,
    y: Array,
    names: Sequence[str] | None = None,
    *,
    loss: str = "auto",
    given: dict[str, Array] | None = None,
    synthetic: Array | None = None,
    inputs: Sequence[str] = (),
    dropped: Sequence[str] = (),
    columns: Sequence[Column] = (),
    several_each: bool = True,
) -> Dataset:
    """A data set from raw arrays X `[m, n]` (or `[m, ...]`, made flat) and targets y `[m]` or `[m, C]`.

    y `[m, 1]` is read as `[m]`, and one-hot y `[m, C]` as classes unless the loss says otherwise. several_each: labels
    of which most have one example only are refused. columns: what the columns of X hold; only such X may be NaN.

    Raises: DataError (not numbers, NaN, infinite or too large, no examples, lengths that differ, labels that are
    missing or outside of the classes, fewer than two classes, names that repeat, or targets that do not suit the loss).
    """
    flat = _checked_inputs(name, X, may_lack=bool(columns))
    _check_targets_fit(name, X, y)
    y = one_column_as_vector(decoded(name, "y", y))
    names = None if names is None else _checked_names(name, names)
    if loss in ("auto", "softmax") and is_one_hot(y):
        names = _names_of_columns(name, y.shape[1], names)
        y = y.argmax(axis=1)
    kind = _kind(name, y, loss)
    if kind == "classes":
        targets, target_names = _classes(name, y, names, several_each=several_each)
    else:
        targets = exact_floats(name, "y", y).reshape(len(y), -1)
        of_columns = names if y.ndim == 2 else None  # those of classes that the loss reads as numbers are of no use
        target_names = _names_of_columns(name, targets.shape[1], of_columns)
        _check_numbers(name, kind, targets)
    rows = np.arange(0) if synthetic is None else synthetic
    lacking = tuple(np.isnan(flat).sum(axis=0).tolist()) if columns else ()
    about = tuple(inputs), tuple(dropped), tuple(columns), lacking
    image = None if columns else image_shape(X)
    return Dataset(name, kind, flat, targets, target_names, given or {}, rows, *about, image=image)


def decoded(name: str, array: str, values: Array) -> Array:
    """Strings that are stored as bytes as text; other arrays as they are.

    Raises: DataError (the bytes are not UTF-8).
    """
    if values.dtype.kind != "S":
        return values
    try:
        text: Array = np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: {array} holds strings that are not UTF-8; write them as str.") from error
    return text


def one_column_as_vector(y: Array) -> Array:
    """y `[m, 1]` as `[m]`; other targets as they are."""
    return y.reshape(len(y)) if y.ndim > 1 and set(y.shape[1:]) == {1} else y


def exact_floats(name: str, array: str, values: Array) -> Array:
    """Numbers as float64; too large ones of a wider type become infinite.

    Raises: DataError (integers beyond 2^53 that would become equal to others).
    """
    with np.errstate(over="ignore"):
        floats: Array = values.astype(np.float64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and np.abs(floats).max(initial=0) >= 2**53:
        with np.errstate(invalid="ignore"):
            changed = np.argwhere(floats.astype(values.dtype) != values)
        if len(changed):
            place = ", ".join(map(str, changed[0]))
            raise DataError(
                f"{name}: {array}[{place}] is {values[tuple(changed[0])]}; whole numbers are exact up to 2^53 only. "
                "Subtract a constant first."
            )
    return floats


def is_one_hot(y: Array) -> bool:
    """Whether each row of y `[m, C]` has one 1 and is 0 otherwise."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


def are_few(distinct: int, m: int) -> bool:
    """Whether so many distinct whole numbers among m are classes: a handful are, many are measurements."""
    return distinct <= max(20, m // 20)


def are_classes(y: Array) -> bool:
    """Whether floats y `[m]` are class numbers, as files often hold them."""
    return are_few(len(np.unique(y)), len(y)) and np.array_equal(y, np.round(y))


def _checked_inputs(name: str, X: Array, *, may_lack: bool = False) -> Array:
    """X `[m, n]` as finite float64. may_lack: NaN is a missing value."""
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers, all rows of one length; it has dtype {X.dtype}.")
    if X.ndim < 2 or X.size == 0:
        raise DataError(f"{name}: X must have examples and features; its shape is {X.shape}.")
    flat = exact_floats(name, "X", X.reshape(len(X), -1))
    fine = (np.abs(flat) <= LARGEST) | (may_lack & np.isnan(flat))
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        raise DataError(
            f"{name}: X must be finite; row {row}, feature {column} is {flat[row, column]}, and the largest number is "
            f"{LARGEST:.2g}."
        )
    return flat


def _check_targets_fit(name: str, X: Array, y: Array) -> None:
    if y.ndim < 1 or len(y) != len(X) or y.size == 0 or (y.ndim > 2 and y.size > len(y)):
        raise DataError(f"{name}: y must have a target for each of the {len(X)} rows of X; its shape is {y.shape}.")
    if y.dtype.kind not in "biufUS":
        raise DataError(f"{name}: targets y must be numbers or strings; they have dtype {y.dtype}.")


def _checked_names(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Raises: DataError (a name is empty, or stands twice)."""
    for place, label in enumerate(names):
        if not label.strip():
            raise DataError(f"{name}: class_names[{place}] is empty.")
        if label in names[:place]:
            raise DataError(f"{name}: class_names[{names.index(label)}] and [{place}] are both {label[:40]!r}.")
    if variants := look_alike(names):
        first, second, how = variants
        raise DataError(f"{name}: class_names has {second[:40]!r}, which {how.format(repr(first[:40]))}.")
    return tuple(names)


def _names_of_columns(name: str, columns: int, names: tuple[str, ...] | None) -> tuple[str, ...]:
    if names is not None and len(names) != columns:
        raise DataError(f"{name}: class_names has {len(names)} names; y has {columns} column{'s' * (columns > 1)}.")
    return names or tuple(f"y{place}" for place in range(columns))


def _kind(name: str, y: Array, loss: str) -> str:
    """The kind of the targets, from their shape and dtype, and from the loss asked for."""
    numeric = y.dtype.kind in "biuf"
    binary = numeric and bool(np.all(np.isnan(y) | (y == 0) | (y == 1)))
    if loss == "auto":
        loss = _fitting_loss(name, y, binary=binary)
    if loss == "logistic" and not binary:
        raise DataError(f"{name}: the logistic loss needs targets of 0 and 1 (NaN where one is missing).")
    if loss == "squared" and not numeric:
        raise DataError(f"{name}: the squared loss needs numbers as targets; they have dtype {y.dtype}.")
    if loss == "softmax" and y.ndim == 2:
        raise DataError(f"{name}: the softmax loss needs one class for each example; y has shape {y.shape}.")
    return {"softmax": "classes", "logistic": "labels", "squared": "values"}[loss]


def _fitting_loss(name: str, y: Array, *, binary: bool) -> str:
    if y.ndim == 2:
        if y.dtype.kind in "US":
            raise DataError(f"{name}: y has strings in {y.shape[1]} columns; several labels must be 0 and 1.")
        if not binary:
            _check_are_no_other_labels(name, y)
        return "logistic" if binary else "squared"
    if y.dtype.kind == "f":
        return "softmax" if are_classes(y) else "squared"
    if y.dtype.kind in "iu":
        _check_are_no_quantities(name, y)
    return "softmax"


def _check_are_no_quantities(name: str, y: Array) -> None:
    """Raises: DataError (most integers stand once: hardly classes, and nothing says that they are quantities)."""
    distinct, counts = np.unique(y, return_counts=True)
    if len(distinct) > 20 and 2 * np.count_nonzero(counts == 1) > len(y):
        raise DataError(
            f"{name}: y has {len(distinct)} different integers in {len(y)} examples. If they are quantities, write "
            '"loss": "squared"; if they are classes, "loss": "softmax".'
        )


def _check_are_no_other_labels(name: str, y: Array) -> None:
    """Raises: DataError (y `[m, C]` has two numbers only, as labels of -1 and 1 have, or of 0 and 255)."""
    low, high = np.nanmin(y), np.nanmax(y)
    if low < high and np.all(np.isnan(y) | (y == low) | (y == high)):
        raise DataError(
            f"{name}: all numbers of y are {low:g} or {high:g}. If they are labels or one-hot classes, write 0 and 1; "
            'if they are quantities, "loss": "squared".'
        )


def _check_numbers(name: str, kind: str, y: Array) -> None:
    if kind == "values" and not (np.abs(y) <= LARGEST).all():
        row = np.argwhere(~(np.abs(y) <= LARGEST))[0][0]
        raise DataError(f"{name}: targets must be finite; row {row} is not, or larger than {LARGEST:.2g}.")
    if kind == "labels" and np.isnan(y).all(axis=0).any():
        raise DataError(f"{name}: label {np.isnan(y).all(axis=0).argmax()} is missing in every example.")
    if np.all(np.nanmin(y, axis=0) == np.nanmax(y, axis=0)):
        raise DataError(f"{name}: all targets are the same; there is nothing to learn.")


def _classes(
    name: str, y: Array, names: tuple[str, ...] | None, *, several_each: bool
) -> tuple[Array, tuple[str, ...]]:
    if y.dtype.kind == "f" and np.array_equal(y, np.round(y)) and float(np.abs(y).max()) < 2**53:
        y = y.astype(np.int64)
    if y.dtype.kind not in "biuU":
        raise DataError(f"{name}: classes y must be whole numbers or strings; they have dtype {y.dtype}.")
    if y.dtype.kind == "U":
        y = np.char.strip(y)
        problem = label_problem(y.tolist(), lambda row: f"y[{row}]", several_each=several_each and names is None)
        if problem:
            raise DataError(f"{name}: {problem.rstrip('.')}.")
    if names is None:
        distinct, numbers = np.unique(y, return_inverse=True)
        class_names = tuple(str(label) for label in distinct)
    else:
        numbers, class_names = _positions(name, y, names), names
    if len(np.unique(numbers)) < 2:
        raise DataError(f"{name}: y has only the class {class_names[numbers[0]]!r}; at least two are needed.")
    return numbers, class_names


def _positions(name: str, y: Array, names: tuple[str, ...]) -> Array:
    """The places in the class names of classes y `[m]`, which are such places, or names."""
    if y.dtype.kind == "U":
        place_of = {label: place for place, label in enumerate(names)}
        for row, label in enumerate(y.tolist()):
            if label not in place_of:
                raise DataError(f"{name}: y[{row}] is {label[:40]!r}, which is not in class_names.")
        return np.array([place_of[label] for label in y.tolist()], np.intp)
    if y.min() < 0 or y.max() >= len(names):
        raise DataError(f"{name}: labels y must be numbers 0 to {len(names) - 1}, one for each class name.")
    shifted = names != tuple(str(place) for place in range(len(names)))
    if shifted and set(map(str, np.unique(y).tolist())) <= set(names):
        raise DataError(
            f"{name}: y may hold positions in class_names or the names themselves, which are numbers; write names that "
            "are no numbers."
        )
    places: Array = y.astype(np.int64)
    return places
