"""The portions of a stream: npz files, each checked on its own and against the form of the first portion."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.cells import LARGEST, label_problem
from trainer.data.datasets import checked, decoded, exact_floats, is_one_hot, one_column_as_vector
from trainer.data.errors import DataError
from trainer.data.loading import class_names
from trainer.layers.parameters import Array
from trainer.streams.files import MOST_BYTES, UnreadableFile, read_arrays


@dataclass(frozen=True)
class Portion:
    """Examples that came together: X `[m, n]` float64, NaN where a value is missing, and targets Y `[m, C]`.

    sha256: of the shapes and numbers of X and Y, so that examples which arrive twice are recognised, whatever their
    file is called and whatever its dtypes are. Y is one-hot for classes, 0, 1 or NaN for labels, and numbers in their
    own units for values.
    """

    name: str
    sha256: str
    X: Array
    Y: Array

    def __len__(self) -> int:
        return len(self.X)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return int(self.X.nbytes + self.Y.nbytes)


@dataclass(frozen=True)
class Form:
    """What all portions of a stream have in common, as the first one has it. kind, names: see `datasets.Dataset`.

    inputs: the number of features. indexed: classes y are positions in the class names of the first portion.
    """

    inputs: int
    kind: str
    names: tuple[str, ...]
    indexed: bool


def read_portion(path: Path, status: os.stat_result, form: Form | None, loss: str, root: Path) -> tuple[Portion, Form]:
    """The portion in a file below root, and the stream's form. form None: this is the first portion, and gives it.

    A portion has arrays X `[m, ...]` of numbers and y as `loading.load` describes them, and may have class_names.

    Raises: UnreadableFile (torn, empty, of another shape, not finite, or targets that do not fit), OSError.
    """
    arrays, sha256 = read_arrays(path, status, root)
    name = path.name
    try:
        if missing := [array for array in ("X", "y") if array not in arrays]:
            raise DataError(f"{name} has no array {' and no array '.join(missing)}.")
        flat = _inputs(name, arrays["X"])
        y, names = one_column_as_vector(decoded(name, "y", arrays["y"])), _names(name, arrays)
        if y.ndim not in (1, 2) or y.size == 0 or len(y) != len(flat):
            raise DataError(f"{name}: y must have a target for each of X's {len(flat)} rows; its shape is {y.shape}.")
        if y.dtype.kind == "f":
            y = exact_floats(name, "y", y)
            if (np.abs(y) > LARGEST).any():
                raise DataError(f"{name}: targets y must be numbers that a float32 can hold; some are larger.")
        if form is None:
            form = _form(name, flat, y, names, loss)
        if flat.shape[1] != form.inputs:
            raise DataError(f"{name} has {flat.shape[1]} features, the portions before it {form.inputs}.")
        Y = _targets(name, y, names, form)
    except DataError as error:
        raise UnreadableFile(sha256, str(error)) from None
    return Portion(name, _hash(flat, Y), flat, Y), form


def _hash(X: Array, Y: Array) -> str:
    digest = hashlib.sha256()
    for array in (X, Y):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _names(name: str, arrays: dict[str, Array]) -> tuple[str, ...] | None:
    names = class_names(name, arrays)
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"{name}: class_names must differ from each other.")
    return names


def _inputs(name: str, X: Array) -> Array:
    if X.ndim < 2:
        raise DataError(f"{name}: X must have a row for each example; its shape is {X.shape}.")
    if X.size == 0:
        raise DataError(f"{name} has no examples: X has shape {X.shape}.")
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: X must hold numbers; it has dtype {X.dtype}.")
    flat = exact_floats(name, "X", X.reshape(len(X), -1))
    if (np.abs(flat) > LARGEST).any():  # not so of NaN
        raise DataError(
            f"{name}: X must be numbers that a float32 can hold, or NaN where one is missing; it has infinite ones, or "
            f"larger than {LARGEST:.1e}."
        )
    return flat


def _form(name: str, X: Array, y: Array, names: tuple[str, ...] | None, loss: str) -> Form:
    dataset = checked(name, np.nan_to_num(X), y, names, loss=loss, several_each=False)
    return Form(X.shape[1], dataset.kind, dataset.names, indexed=names is not None and y.dtype.kind != "U")


def _targets(name: str, y: Array, names: tuple[str, ...] | None, form: Form) -> Array:
    """Y `[m, C]`."""
    if names is not None and names != form.names:
        raise DataError(f"{name}: its class_names are not those of the first portion.")
    if y.size * len(form.names) * 8 > MOST_BYTES:
        raise DataError(f"{name}: {y.size} targets of {len(form.names)} classes are too many; write smaller portions.")
    if form.kind == "classes":
        return np.eye(len(form.names))[_classes(name, y, form)]
    if y.dtype.kind not in "biuf":
        raise DataError(f"{name}: targets y must be numbers; they have dtype {y.dtype}.")
    Y = exact_floats(name, "y", y).reshape(len(y), -1)
    if Y.shape[1] != len(form.names):
        raise DataError(f"{name}: y has {Y.shape[1]} columns, the portions before it {len(form.names)}.")
    if form.kind == "labels" and not np.all(np.isnan(Y) | (Y == 0) | (Y == 1)):
        raise DataError(f"{name}: labels must be 0 and 1 (NaN where one is missing).")
    if form.kind == "labels" and np.isnan(Y).all():
        raise DataError(f"{name}: all labels are missing.")
    if form.kind == "values" and np.isnan(Y).any():
        raise DataError(f"{name}: targets must be finite.")
    return Y


def _classes(name: str, y: Array, form: Form) -> Array:
    """Class numbers `[m]`."""
    if is_one_hot(y) and y.shape[1] == len(form.names):
        places: Array = y.argmax(axis=1)
        return places
    if y.ndim != 1 or y.dtype.kind not in "biufU":
        hint = ' If they are labels, write "loss": "logistic".' if y.ndim == 2 else ""
        raise DataError(f"{name}: y must have one class for each example; its shape is {y.shape}.{hint}")
    if y.dtype.kind == "f":
        if not (np.isfinite(y).all() and float(np.abs(y).max(initial=0)) < 2**53 and np.array_equal(y, np.round(y))):
            raise DataError(f"{name}: classes y must be whole numbers or strings.")
        y = y.astype(np.int64)
    if y.dtype.kind == "U":
        y = np.char.strip(y)
        problem = label_problem(y.tolist(), lambda row: f"y[{row}]", several_each=False)
        if problem:
            raise DataError(f"{name}: {problem.rstrip('.')}.")
    if form.indexed and y.dtype.kind != "U":
        if len(y) and not 0 <= y.min() <= y.max() < len(form.names):
            raise DataError(f"{name}: labels y must be numbers 0 to {len(form.names) - 1}, one for each class name.")
        return y.astype(np.intp)
    return _numbers(name, y, form.names)


def _numbers(name: str, y: Array, names: tuple[str, ...]) -> Array:
    """The position of each class of y `[m]` in the names, `[m]`."""
    number_of = {label: number for number, label in enumerate(names)}
    distinct, places = np.unique(y, return_inverse=True)
    labels = [str(label) for label in distinct.tolist()]
    if unknown := [label for label in labels if label not in number_of]:
        hint = "give the first portion an array class_names with all of them"
        raise DataError(f"{name}: the first portion had no class {unknown[0][:40]!r}; {hint}.")
    numbers: Array = np.array([number_of[label] for label in labels], np.intp)[places]
    return numbers
