"""How a csv file is written: its encoding, what separates its cells, the sign before decimals, and its header."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.config import CHOICES
from trainer.data.cells import is_missing, is_number, looks_numeric
from trainer.data.errors import DataError

DELIMITERS: Final = {",": "commas", ";": "semicolons", "tab": "tabs", "|": "bars"}
"""What may separate cells, and how a sentence calls it."""

DELIMITER_OF: Final = {",": ",", ";": ";", "\t": "tab", "|": "|"}
"""Its name, by its character."""

_MARKS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WITH_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_GROUPED: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")


@dataclass(frozen=True)
class Dialect:
    """Each is "auto" where the file shall say it.

    delimiter: a name in DELIMITERS. decimal: "." or ",". encoding: a name in `trainer.config.CHOICES`. header:
    whether the first line has names.
    """

    delimiter: str = "auto"
    decimal: str = "auto"
    encoding: str = "auto"
    header: bool | str = "auto"


def character(delimiter: str) -> str:
    """The character that separates cells."""
    return next(character for character, name in DELIMITER_OF.items() if name == delimiter)


def read_text(path: Path, encoding: str) -> tuple[str, str]:
    """The text of a file, and its encoding: UTF-8, or what a mark at its beginning or the caller says.

    Nothing in a file says which of the other encodings it has: one that is guessed gives wrong letters.

    Raises: DataError (it is no text in this encoding; the sentence names the line and the cell).
    """
    content = path.read_bytes()
    found = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    used = found if encoding == "auto" else encoding
    try:
        text = content.decode("utf-8-sig" if used == "utf-8" else used)
        return text.lstrip("\ufeff"), used  # a mark of its own is left of one that was written twice
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"{path.name}, line {line}: {_cell(content, error.start)} is not text in {used.upper()}"
        others = ", ".join(name for name in CHOICES["encoding"][1:] if name != used)
        raise DataError(f'{where}; save the file in UTF-8, or write "encoding": one of {others}.') from None


def decimal_of(source: str, rows: Sequence[Sequence[str]], lines: Sequence[int], delimiter: str) -> str:
    """The sign before decimals: a comma if numbers have one and cells are not separated by commas.

    Raises: DataError (numbers with commas and with points, or commas that may group digits).
    """
    if delimiter == ",":
        return "."
    with_comma = with_point = None
    grouped = True
    for line, row in zip(lines, rows, strict=True):
        for cell in row:
            if "," in cell and _WITH_COMMA.fullmatch(cell):
                with_comma = with_comma or (line, cell)
                grouped = grouped and _GROUPED.fullmatch(cell) is not None
            elif "." in cell and is_number(cell):
                with_point = with_point or (line, cell)
    if with_comma is None:
        return "."
    where = f"{source}, line {with_comma[0]}: {with_comma[1][:20]!r}"
    if with_point is not None:
        raise DataError(
            f'{where} has a comma, {with_point[1][:20]!r} in line {with_point[0]} a point; write "decimal".'
        )
    if grouped:
        raise DataError(f'{where} may be a number with decimals or in thousands; write "decimal": "," or ".".')
    return ","


def with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point; other cells as they are."""
    return cell.replace(",", ".") if _WITH_COMMA.fullmatch(cell) else cell


def is_header(source: str, first: Sequence[str], rows: Sequence[Sequence[str]], line: int) -> bool:
    """Whether the first line has the names of the columns.

    It has none if a number is in it, unless it counts the columns from 0, as pandas does. It has names if one stands
    above numbers, or none stands in its own column again.

    Raises: DataError (it may be both).
    """
    if len(first) > 2 and list(first) == [str(place) for place in range(len(first))]:
        return True
    if any(is_number(with_point(cell)) for cell in first):
        return False
    columns = list(zip(*rows, strict=True))
    if not rows or any(
        _are_numbers(column) for name, column in zip(first, columns, strict=True) if not is_missing(name)
    ):
        return True
    again = [name in set(column) for name, column in zip(first, columns, strict=True)]
    if any(again) and not all(again):
        place = again.index(False)
        raise DataError(
            f"{source}, line {line}: {first[place][:20]!r} may be a name or a value, as no column has numbers; write "
            '"header": true or false.'
        )
    return not all(again)


def _are_numbers(column: Sequence[str]) -> bool:
    """Whether more than half of the cells that are there look like numbers."""
    present = [cell for cell in column if not is_missing(cell)]
    return 2 * sum(map(looks_numeric, present)) > len(present)


def _cell(content: bytes, at: int) -> str:
    """The cell around a byte, as Latin-1 reads it: it is for a person's eye."""
    ends = re.compile(rb"[,;\t|\r\n]")
    start = max((match.end() for match in ends.finditer(content, max(0, at - 100), at)), default=max(0, at - 100))
    end = ends.search(content, at)
    return repr(content[start : min(end.start() if end else at + 20, start + 40)].decode("latin-1").strip(' "'))
