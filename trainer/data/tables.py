"""Tables in csv files: the names of the columns, and the cells with the lines that they stand on."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.data.cells import Where, is_number
from trainer.data.errors import DataError
from trainer.memory import memory_problem

SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}

CELLS: Final = 15
"""Bytes of memory for each byte of a table of short cells: each is an object, and a number."""


@dataclass(frozen=True)
class Table:
    """The rows below the header, all of one length, without the spaces around their cells.

    header: None if the first line has no names. lines: the line of the file on which each row begins, from 1.
    """

    source: str
    header: tuple[str, ...] | None
    rows: list[list[str]]
    lines: list[int]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.rows[0])

    def name(self, place: int) -> str:
        """What a sentence calls a column: its name, or its number from 1."""
        name = self.header[place] if self.header else ""
        return f"column {name!r}" if name else f"column {place + 1}"

    def cells(self, place: int) -> list[str]:
        """The cells of a column."""
        return [row[place] for row in self.rows]

    def where(self, place: int) -> Where:
        """Says where the cells of a column stand."""
        return lambda row: f"line {self.lines[row]}, {self.name(place)}"

    def place(self, name: str) -> int:
        """The place of the column with this name.

        Raises: DataError (there is none).
        """
        if self.header is None:
            raise DataError(f"{self.source} has no column {name!r}: its first line has numbers, so it is no header.")
        if name.strip() not in self.header:
            raise DataError(f"{self.source} has no column {name!r}; it has: {', '.join(self.header)[:200]}.")
        return self.header.index(name.strip())


def read_table(path: Path) -> Table:
    """The table in a csv file in UTF-8. See `parse_table`.

    Raises: DataError (no text in UTF-8, or as `parse_table` does).
    """
    if problem := memory_problem(f"{path.name}, read as cells,", CELLS * path.stat().st_size):
        raise DataError(problem)
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name} is text in UTF-16; save it as csv in UTF-8.")
    try:
        return parse_table(path.name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path.name}, line {line}: it is not text in UTF-8; save the file as csv in UTF-8.") from None


def parse_table(source: str, text: str) -> Table:
    """The table in a text: cells separated by commas, in lines of one length. Empty lines are left out.

    The first line is a header if no number is in it, or if it counts the columns from 0, as pandas does.

    Raises: DataError (other separators, lines of several lengths, no rows, or quotes that do not close).
    """
    lines, rows = _rows(source, text)
    if not rows:
        raise DataError(f"{source} has no rows.")
    first = rows[0]
    if len(first) == 1 and (name := _separator(first[0])):
        raise DataError(f"{source}, line {lines[0]}: its cells are separated by {name}; separate them by commas.")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(first):
            raise DataError(f"{source}: line {line} has {len(row)} cells, line {lines[0]} has {len(first)}.")
    if not _is_header(first):
        return Table(source, None, rows, lines)
    if len(rows) == 1:
        raise DataError(f"{source} has no rows below its header.")
    return Table(source, tuple(first), rows[1:], lines[1:])


def require_names(table: Table) -> None:
    """Raises: DataError (a column but the first has no name, or two have the same one)."""
    names = table.header or ()
    for place, name in enumerate(names[1:], 2):
        if not name:
            what = "; the line ends with a comma" if place == len(names) else ""
            raise DataError(f"{table.source}, line 1: column {place} has no name{what}.")
    for name, count in Counter(names).items():
        if count > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            raise DataError(
                f"{table.source}, line 1: columns {first + 1} and {second + 1} are both called {name!r}; "
                "give each a name of its own."
            )


def require_first_line_is_an_example(table: Table, texts: Sequence[int]) -> None:
    """Of a table without a header: names that are numbers, such as years, look like an example.

    texts: the columns that may hold text, the targets.

    Raises: DataError (the first line has a text, or a number among numbers that repeat, which no other line has).
    """
    if table.header is not None:
        return
    for place in texts:
        first, *others = table.cells(place)
        alone = first not in others and (not is_number(first) or min(Counter(others).values(), default=0) > 1)
        if alone:
            raise DataError(
                f"{table.source}, line {table.lines[0]}: {first[:20]!r} stands in no other line; if it is a name, give "
                "all columns names that are no numbers."
            )


def _rows(source: str, text: str) -> tuple[list[int], list[list[str]]]:
    """The rows that are not empty, and the lines on which they begin."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    line = 1
    try:
        for row in reader:
            if any(row):
                lines.append(line)
                rows.append([cell.strip() for cell in row])
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: it is not csv ({error}).") from None
    return lines, rows


def _separator(line: str) -> str | None:
    """What seems to separate the cells of a line without commas."""
    if len(line.split()) > 1 and all(map(is_number, line.split())):
        return "spaces"
    return next((SEPARATORS[character] for character in line if character in SEPARATORS), None)


def _is_header(first: Sequence[str]) -> bool:
    counts_columns = len(first) > 2 and list(first) == [str(place) for place in range(len(first))]
    return counts_columns or not any(map(is_number, first))
