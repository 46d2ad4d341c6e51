"""Tables in csv files: the names of the columns, and the cells with the lines that they stand on."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainer.data.cells import Where, is_number, visible
from trainer.data.dialects import (
    DELIMITER_OF,
    DELIMITERS,
    Dialect,
    character,
    decimal_of,
    is_header,
    read_text,
    with_point,
)
from trainer.data.errors import DataError
from trainer.memory import memory_problem

_SEP_LINE: Final = re.compile(r'"?sep=([,;|\t])"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)

FOUND: Final = Dialect()
"""All is found in the file."""

CELLS: Final = 15
"""Bytes of memory for each byte of a table of short cells: each is an object, and a number."""


@dataclass(frozen=True)
class Table:
    """The rows below the header, all of one length, without the spaces around their cells.

    header: None if the first line has no names. lines: the line of the file on which each row begins, from 1.
    dialect: how the file is written.
    """

    source: str
    header: tuple[str, ...] | None
    rows: list[list[str]]
    lines: list[int]
    dialect: Dialect = FOUND

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.rows[0])

    def name(self, place: int) -> str:
        """What a sentence calls a column: its name, or its number from 1."""
        name = self.header[place] if self.header else ""
        return f"column {name!r}" if name else f"column {place + 1}"

    def cells(self, place: int) -> list[str]:
        """The cells of a column, numbers with a decimal comma as numbers with a point.

        Raises: DataError (a number with a point, where others have a comma).
        """
        cells = [row[place] for row in self.rows]
        if self.dialect.decimal != ",":
            return cells
        for row, cell in enumerate(cells):
            if "." in cell and is_number(cell):
                where = f"{self.source}, {self.where(place)(row)}"
                raise DataError(f"{where}: {cell[:20]!r} has a point; numbers of this file have a decimal comma.")
        return [with_point(cell) for cell in cells]

    def where(self, place: int) -> Where:
        """Says where the cells of a column stand."""
        return lambda row: f"line {self.lines[row]}, {self.name(place)}"

    def place(self, name: str) -> int:
        """The place of the column with this name; without a header, of the column with this number, from 1.

        Raises: DataError (there is none).
        """
        if self.header is None and name.strip().isdecimal() and 1 <= int(name) <= self.width:
            return int(name) - 1
        if self.header is None:
            numbers = any(map(is_number, self.rows[0]))
            why = "its first line has numbers, so it is no header" if numbers else "its first line is no header"
            raise DataError(f"{self.source} has no column {name!r}: {why}; columns have numbers, 1 to {self.width}.")
        if name.strip() not in self.header:
            raise DataError(f"{self.source} has no column {name!r}; it has: {', '.join(self.header)[:200]}.")
        return self.header.index(name.strip())


def read_table(path: Path, dialect: Dialect = FOUND) -> Table:
    """The table in a csv file. See `parse_table`.

    Raises: DataError (no text in the file's encoding, or as `parse_table` does).
    """
    if problem := memory_problem(f"{path.name}, read as cells,", CELLS * path.stat().st_size):
        raise DataError(problem, here_only=True)
    text, encoding = read_text(path, dialect.encoding)
    return parse_table(path.name, text, dataclasses.replace(dialect, encoding=encoding))


def parse_table(source: str, text: str, dialect: Dialect = FOUND) -> Table:
    """The table in a text: cells in lines of one length. Empty lines are left out.

    What the dialect leaves open is found: a delimiter that gives lines of one length, and the rest as `decimal_of` and
    `is_header` say.

    Raises: DataError (lines of several lengths, no rows, quotes that do not close, or what can be read in two ways).
    """
    if said := _SEP_LINE.match(text):  # a spreadsheet's own line
        text = "\n" + text[said.end() :]
    delimiter = DELIMITER_OF[said[1]] if said and dialect.delimiter == "auto" else dialect.delimiter
    delimiter, lines, rows = _separated(source, text, delimiter)
    first = rows[0]
    decimal = dialect.decimal
    if decimal == "auto":
        decimal = decimal_of(source, rows, lines, delimiter)
    header = dialect.header
    if isinstance(header, str):
        header = is_header(source, first, rows[1:], lines[0])
    if header and len(rows) == 1:
        raise DataError(f"{source} has no rows below its header.")
    used = Dialect(delimiter, decimal, dialect.encoding, header)
    start = int(header)
    return Table(source, tuple(first) if header else None, rows[start:], lines[start:], used)


def require_names(table: Table) -> None:
    """Raises: DataError (a column but the first has no name, or two have the same one)."""
    names = [" ".join(visible(name).split()) for name in table.header or ()]
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

    texts: the columns that may hold text: targets and categories.

    Raises: DataError (the first line has a text, or a number among numbers that repeat, which no other line has).
    """
    if table.header is not None:
        return
    for place in texts:
        first, *others = table.cells(place)
        alone = first not in others and (not is_number(first) or min(Counter(others).values(), default=0) > 1)
        if alone:
            raise DataError(
                f'{table.source}, line {table.lines[0]}: {first[:20]!r} stands in no other line; write "header": '
                "true if the line has names, false if it is an example."
            )


def _separated(source: str, text: str, delimiter: str) -> tuple[str, list[int], list[list[str]]]:
    """The delimiter, the lines on which rows begin, and the rows, of one length.

    Raises: DataError (there is no row, or no delimiter gives rows of one length).
    """
    if delimiter != "auto":
        return delimiter, *_even_rows(source, text, delimiter)
    start = next((line for line in text.splitlines() if line.strip()), "")
    candidates = [name for name in DELIMITERS if character(name) in start] or [","]
    read, failure = {}, None
    for name in candidates:
        try:
            read[name] = _even_rows(source, text, name)
        except DataError as error:
            failure = failure or error
    if failure is not None and not read:
        raise failure
    best = _likeliest(source, read)
    return best, *read[best]


def _likeliest(source: str, read: Mapping[str, tuple[list[int], list[list[str]]]]) -> str:
    """The only delimiter; or, of commas and another one, that other one if all commas within its cells are decimal.

    Raises: DataError (the file can be read in two ways).
    """
    others = [name for name in read if name != ","]
    if len(read) == 1:
        return next(iter(read))
    if len(others) == 1:
        lines, rows = read[others[0]]
        inside = [cell for row in rows for cell in row if "," in cell]
        if all(with_point(cell) != cell for cell in inside):
            return others[0]
    both = " or ".join(DELIMITERS[name] for name in read)
    lines = next(iter(read.values()))[0]
    raise DataError(f'{source}, line {lines[0]}: its cells may be separated by {both}; write "delimiter".')


def _even_rows(source: str, text: str, delimiter: str) -> tuple[list[int], list[list[str]]]:
    """The lines on which rows begin, and the rows, all as long as the first one.

    Raises: DataError (another length, no row, or cells that are separated by spaces).
    """
    lines, rows = _rows(source, text, character(delimiter))
    if not rows:
        raise DataError(f"{source} has no rows.")
    first = rows[0]
    if len(first) == 1 and len(first[0].split()) > 1 and all(map(is_number, first[0].split())):
        raise DataError(f"{source}, line {lines[0]}: its cells are separated by spaces; separate them by commas.")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(first):
            cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            raise DataError(f"{source}: line {line} has {cells}, line {lines[0]} has {len(first)}.")
    return lines, rows


def _rows(source: str, text: str, delimiter: str) -> tuple[list[int], list[list[str]]]:
    """The rows, and the lines on which they begin. Empty lines are passed by, and so are rows of empty cells at the
    end, as spreadsheets write them; amid the file such a row is one, so that each prediction is of its row."""
    reader = csv.reader(
        io.StringIO(text, newline=""), skipinitialspace=delimiter != "\t", strict=True, delimiter=delimiter
    )
    lines: list[int] = []
    rows: list[list[str]] = []
    line = 1
    try:
        for row in reader:
            if len(row) > 1 or any(row):
                lines.append(line)
                rows.append([cell.strip() for cell in row])
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: it is not csv ({error}).") from None
    while rows and not any(rows[-1]):
        lines.pop()
        rows.pop()
    return lines, rows
