"""What is written in a cell of a table, or in a string of an array: a number, a missing value, or a label."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from trainer.data.errors import DataError
from trainer.layers.parameters import Array

LARGEST: Final = float(np.finfo(np.float32).max)
"""The largest number that is read: the trainer computes in float32."""

_ABBREVIATED: Final = ("na", "n/a", "n.a.", "n.a", "na.", "n/d", "n.d.", "#n/a", "#na", "#n/a n/a", "nat", "\\n")
_WORDS: Final = ("null", "none", "nil", "missing", "missing value", "no data", "not available", "undefined")
_NOT_A_NUMBER: Final = ("nan", "+nan", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan")
MISSING: Final = frozenset(("", *_ABBREVIATED, *_WORDS, *_NOT_A_NUMBER))
"""What other programs write where a value is missing, in small letters and without signs around it; also dots, dashes,
and a spreadsheet's errors."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r"[0-9eE.,+-]*")
_CODE: Final = re.compile(r"0[0-9]+|[0-9]+[eE][0-9]+")
_AROUND: Final = "\"'()[]<>{} "
_NO_VALUE: Final = re.compile(r"#[a-z0-9/]+[!?]|\.+|--+|[\u2013\u2014]+|\?+")
_DECORATION: Final = re.compile(r"[\s$€£¥%,'_]|\b(?:eur|usd|gbp)\b", re.IGNORECASE)

Where = Callable[[int], str]
"""Where a value of a column stands, by its position there: 'line 12' or 'y[11]'."""


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is missing."""
    small = visible(cell).strip().lower()
    return small.strip(_AROUND) in MISSING or _NO_VALUE.fullmatch(small) is not None


def visible(text: str) -> str:
    """A text as it is seen: of two that look the same, whatever they were typed with, the same."""
    if text.isascii():
        return text
    return "".join(sign for sign in unicodedata.normalize("NFC", text) if unicodedata.category(sign) != "Cf")


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
    if "-" in counts and "+" not in counts:
        return (
            f"{where(labels.index('-'))}: '-' may stand for a missing value; write a word if it is a value of its own, "
            "else nothing"
        )
    if variants := look_alike(list(counts)) or _same_numbers(list(counts)):
        first, second, how = variants
        other = f"{_quoted(first)} ({where(labels.index(first))})"
        return f"{where(labels.index(second))}: {_quoted(second)} {how.format(other)}; write a class in one way"
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


def look_alike(labels: Sequence[str]) -> tuple[str, str, str] | None:
    """Two labels, in their order, that differ in spaces or in what is not seen, or if longer than a letter in capitals;
    and how they differ."""
    seen: dict[str, str] = {}
    for label in labels:
        plain = " ".join(visible(label).split())
        plain = plain.casefold() if len(plain) > 1 else plain
        if plain in seen:
            return seen[plain], label, "differs from {} only in capitals, spaces or signs that are not seen"
        seen[plain] = label
    return None


def _same_numbers(labels: Sequence[str]) -> tuple[str, str, str] | None:
    """Two labels, in their order, that are one number, unless all are codes; and how a sentence says so."""
    written = [label for label in labels if is_number(label)]
    if any(map(is_code, written)) and all(label.isdigit() or is_code(label) for label in written):
        return None
    seen: dict[float, str] = {}
    for label in written:
        first = seen.setdefault(float(label), label)
        if first != label:
            return first, label, "is the number {}"
    return None


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= 20 else cell[:17] + "...")
