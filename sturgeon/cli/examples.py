"""Reading the examples that `sturgeon predict` is given: an npz file, or rows of numbers as CSV."""

from __future__ import annotations

import csv
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sturgeon.cli.inputs import WrongInput
from trainer.parameters import Array


@dataclass(frozen=True)
class Examples:
    """X `[m, n]` finite, the labels y `[m]` if there are any, and what y's numbers stand for."""

    source: str
    X: Array
    y: Array | None = None
    class_names: tuple[str, ...] | None = None

    def true_labels(self, names: tuple[str, ...]) -> list[str]:
        """y in the names of a model's classes: y are these names, or else their places.

        Raises:
            WrongInput: neither fits.
        """
        assert self.y is not None
        own = self.class_names
        written = [str(own[label]) if own else str(label) for label in self.y.tolist()]
        if set(written) <= set(names):
            return written
        if self.y.dtype.kind in "iu" and self.y.min() >= 0 and self.y.max() < len(names):
            return [names[place] for place in self.y.tolist()]
        unknown = next(label for label in written if label not in names)
        classes = ", ".join(names[:20])
        raise WrongInput(f"{self.source}: y has the label {unknown[:40]!r}; the model's are {classes}.")


def read_examples(file: Path) -> Examples:
    """An npz file by its first bytes, else CSV; `-` is CSV on standard input.

    Raises:
        WrongInput: the file cannot be read as either; says where.
    """
    if str(file) == "-":
        return _from_csv("standard input", sys.stdin)
    with file.open("rb") as content:
        if content.read(4).startswith(b"PK"):
            return _from_npz(file)
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
        return _from_csv(str(file), lines)


def _from_npz(file: Path) -> Examples:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("X", "y", "class_names") if name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise WrongInput(f"{file} is no npz file of arrays of numbers.") from None
    if "X" not in found:
        raise WrongInput(f"{file} has no array X.")
    y, names = found.get("y"), found.get("class_names")
    X = _checked(str(file), found["X"])
    if y is not None and y.shape != (len(X),):
        raise WrongInput(
            f"{file}: y must have one label for each of the {len(X)} rows of X; it has shape {y.shape}."
        )
    if names is not None and y is not None and not _index(y, len(names)):
        raise WrongInput(f"{file}: y must be places in class_names, 0 to {len(names) - 1}.")
    return Examples(str(file), X, _whole(y), None if names is None else tuple(map(str, names)))


def _checked(source: str, X: Array) -> Array:
    if X.dtype.kind not in "biuf" or X.ndim < 2 or X.size == 0:
        raise WrongInput(f"{source}: X must hold numbers, a row for each example; it has shape {X.shape}.")
    flat = X.reshape(len(X), -1).astype(np.float64)
    if not np.isfinite(flat).all():
        row = int(np.argwhere(~np.isfinite(flat))[0][0])
        raise WrongInput(f"{source}: row {row} of X has a value that is not finite.")
    return flat


def _index(y: Array, count: int) -> bool:
    whole = _whole(y)
    return (
        whole is not None and whole.dtype.kind in "iu" and bool((whole >= 0).all() and (whole < count).all())
    )


def _whole(y: Array | None) -> Array | None:
    """Labels 3.0 as 3: the trainer takes them so, too."""
    if y is not None and y.dtype.kind == "f" and np.array_equal(y, np.round(y)):
        return y.astype(np.int64)
    return y


def _from_csv(source: str, lines: Iterable[str]) -> Examples:
    """Numbers, a row for each example; a first line that has none is a header."""
    rows: list[list[float]] = []
    try:
        reader = csv.reader(lines)
        for fields in reader:
            if not fields or (not rows and reader.line_num == 1 and not any(map(_is_number, fields))):
                continue
            rows.append(_numbers(source, reader.line_num, fields))
            if len(rows[-1]) != len(rows[0]):
                wanted = f"line {reader.line_num} has {len(rows[-1])} numbers, those before it {len(rows[0])}"
                raise WrongInput(f"{source}: {wanted}.")
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongInput(f"{source} cannot be read as CSV: {error}.") from None
    if not rows:
        raise WrongInput(f"{source} has no rows.")
    return Examples(source, _checked(source, np.array(rows)))


def _numbers(source: str, line: int, fields: list[str]) -> list[float]:
    for place, text in enumerate(fields, start=1):
        if not _is_number(text):
            raise WrongInput(f"{source}: line {line}, column {place} is no number: {text[:40]!r}.")
    return [float(text) for text in fields]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
