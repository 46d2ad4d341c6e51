"""Reading the examples that `sturgeon predict` is given: an npz file, or rows of numbers as CSV."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.streams import read_input
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
        return float(np.square(outputs - y).sum() / np.square(y - y.mean(axis=0)).sum())

    def _class_indices(self, names: tuple[str, ...]) -> Array:
        """y as indices of the model's class names. y holds these names or their indices."""
        y = self._integral()
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
    if str(file) == "-":
        return _from_csv("standard input", io.StringIO(read_input("replace"), newline=""))
    with file.open("rb") as content:
        if content.read(4).startswith(b"PK"):
            return _from_npz(file)
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
        return _from_csv(str(file), lines)


def _from_npz(file: Path) -> Examples:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in ("X", "y", "class_names") if name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise WrongInput(f"{file} is not an npz file with arrays of numbers.") from None
    if "X" not in content:
        raise WrongInput(f"{file} has no array X.")
    X, y, names = _checked(str(file), content["X"]), content.get("y"), content.get("class_names")
    if y is not None and (y.ndim == 0 or len(y) != len(X)):
        raise WrongInput(f"{file}: y must have a row for each of the {len(X)} rows of X; it has shape {y.shape}.")
    if names is not None and y is not None and not _are_indices(y, len(names)):
        raise WrongInput(f"{file}: y must hold indices of class_names, 0 to {len(names) - 1}.")
    return Examples(str(file), X, y, None if names is None else tuple(map(str, names)))


def _checked(source: str, X: Array) -> Array:
    if X.dtype.kind not in "biuf" or X.ndim < 2 or X.size == 0:
        raise WrongInput(f"{source}: X must hold numbers, a row for each example; it has shape {X.shape}.")
    flat = X.reshape(len(X), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        row = int(np.argwhere(~np.isfinite(flat))[0][0])
        raise WrongInput(f"{source}: row {row} of X has a value that is not finite.")
    return flat


def _are_indices(y: Array, count: int) -> bool:
    return y.dtype.kind in "iu" and bool((y >= 0).all() and (y < count).all())


def _from_csv(source: str, lines: Iterable[str]) -> Examples:
    """Numbers, a row for each example. A first line without numbers is a header."""
    rows: list[list[float]] = []
    try:
        reader = csv.reader(lines)
        for fields in reader:
            if not fields or (not rows and reader.line_num == 1 and not any(map(_is_number, fields))):
                continue
            rows.append(_numbers(source, reader.line_num, fields))
            if len(rows[-1]) != len(rows[0]):
                lengths = f"line {reader.line_num} has {len(rows[-1])} numbers, the lines before it {len(rows[0])}"
                raise WrongInput(f"{source}: {lengths}.")
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongInput(f"{source} cannot be read as CSV: {error}.") from None
    if not rows:
        raise WrongInput(f"{source} has no rows.")
    return Examples(source, _checked(source, np.array(rows)))


def _numbers(source: str, line: int, fields: list[str]) -> list[float]:
    for column, text in enumerate(fields, start=1):
        if not _is_number(text):
            raise WrongInput(f"{source}: line {line}, column {column} is not a number: {text[:40]!r}.")
    return [float(text) for text in fields]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
