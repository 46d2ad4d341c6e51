"""What is written in a cell of a table, or in a string of an array: a number, a missing value, or a label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from trainer.data.errors import DataError
from trainer.layers.parameters import Array

LARGEST: Final = float(np.finfo(np.float32).max)
"""The largest number that is read: the trainer computes in float32."""

MISSING: Final = frozenset(
    ["?", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "+nan", "-nan", "null", "(null)", "none", "nil"]
) | {"missing", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
"""What other programs write where a value is missing, in small letters; also nothing, and a spreadsheet's errors."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r"[0-9eE.,+-]*")
_CODE: Final = re.compile(r"0[0-9]+|[0-9]+[eE][0-9]+")
_SPREADSHEET_ERROR: Final = re.compile(r"#[a-z0-9/]+[!?]")
_DECORATION: Final = re.compile(r"[\s$€£¥%,'_]|\b(?:eur|usd|gbp)\b", re.IGNORECASE)

Where = Callable[[int], str]
"""Where a value of a column stands, by its position there: 'line 12' or 'y[11]'."""


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is missing."""
    small = cell.strip().lower()
    return not small or small in MISSING or _SPREADSHEET_ERROR.fullmatch(small) is not None


def is_number(cell: str) -> bool:
    """Whether a number is written in a cell, as other programs write one: no `1_000`, `1,000`, `inf` or `nan`."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_code(cell: str) -> bool:
    """Whether a cell holds a number that nobody writes so who means a quantity: `007`, or `12e4` of a digest."""
    return _CODE.fullmatch(cell.strip()) is not None


def number_problem(cell: str) -> str | None:
    """What is wrong with a cell that should hold a number, as the end of a sentence; None if nothing is."""
    if is_missing(cell):
        return f"{_quoted(cell)} stands for a missing value" if cell.strip() else "the cell is empty"
    if not is_number(cell):
        return f"{_quoted(cell)} is not a number"
    number = float(cell)
    if abs(number) > LARGEST:
        return f"{_quoted(cell)} is larger than a float32 can hold ({LARGEST:.2g})"
    if number.is_integer() and abs(number) >= 2**53 and cell.strip().lstrip("+-").isdigit() and int(cell) != number:
        return f"{_quoted(cell)} has more digits than are computed with; whole numbers are exact up to 2^53"
    return None


def label_problem(labels: Sequence[str], where: Where, *, several_each: bool = True) -> str | None:
    """What is wrong with a column of class labels, as a sentence without its beginning; None if nothing is.

    several_each: a column in which most labels stand once holds no classes.
    """
    counts = Counter(labels)
    if lacking := [label for label in counts if is_missing(label)]:
        return f"{where(labels.index(lacking[0]))}: {number_problem(lacking[0])}; leave out examples without a label"
    if variants := _differing_in_case(list(counts)):
        first, second = sorted(variants, key=labels.index)
        return (
            f"{where(labels.index(second))}: {_quoted(second)} differs from {_quoted(first)} "
            f"({where(labels.index(first))}) only in capitals or spaces; write one of them"
        )
    single = [label for label, count in counts.items() if count == 1]
    if several_each and 2 * len(single) > len(labels):
        of_numbers = " If they are quantities, write plain numbers." if any(map(looks_numeric, single)) else ""
        return (
            f"{where(labels.index(single[0]))}: {_quoted(single[0])} is one of {len(single)} labels that only one "
            f"example has; most classes need several of the {len(labels)} examples.{of_numbers}"
        )
    return None


def numbers(cells: Sequence[str], where: Where, source: str) -> Array:
    """The numbers in a column, float64.

    Raises: DataError (a cell holds none, or one that is too large or has too many digits; the sentence says where).
    """
    try:
        plain = _PLAIN.fullmatch(",".join(cells)) is not None
        read = np.array([float(cell) for cell in cells] if plain else [np.inf])
    except ValueError:
        read = np.array([np.inf])
    if np.abs(read).max(initial=0) < 2**53:
        return read
    for row, cell in enumerate(cells):
        if problem := number_problem(cell):
            raise DataError(f"{source}, {where(row)}: {problem}.")
    return np.array([float(cell) for cell in cells])


def looks_numeric(cell: str) -> bool:
    """Whether a cell holds a number with something around it or within: `$14.23`, `1,234`, `5 %`."""
    return is_number(_DECORATION.sub("", cell))


def _differing_in_case(labels: Sequence[str]) -> tuple[str, str] | None:
    """Two labels of more than one letter that differ in capitals or spaces only."""
    seen: dict[str, str] = {}
    for label in labels:
        plain = " ".join(label.casefold().split())
        if len(plain) > 1 and plain in seen:
            return seen[plain], label
        seen[plain] = label
    return None


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= 20 else cell[:17] + "...")
