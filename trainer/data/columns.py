"""The inputs in a table's columns: numbers, dates or categories, with their missing values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from trainer.data.cells import Where, is_code, is_missing, is_number, label_problem, looks_numeric, numbers
from trainer.data.errors import DataError
from trainer.data.tables import Table
from trainer.layers.parameters import Array

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_OTHER_DATE: Final = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\.?(?:[T ,]+\d{1,2}:\d{2}.*)?")
_ID_NAME: Final = re.compile(r"(?:.*[_\s-])?(?:id|uuid|index|row|nr|no)|.*[a-z]I[dD]|row.?(?:id|number|nr)", re.ASCII)
_DAY_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """What a column of inputs holds.

    name: as a sentence calls it. kind: "number", "date" (days since 1970-01-01 UTC) or "category". categories: the
    texts, sorted; the column's values are their places. The values are float64, NaN where a cell is missing.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()


def read_column(table: Table, place: int, kind: str | None = None) -> tuple[Column, Array]:
    """A column of inputs and its values `[m]`. kind: what it must hold; None: what its cells say.

    Raises: DataError (a cell that fits no kind, or not that of the others; the sentence says where it stands).
    """
    cells, where = table.cells(place), table.where(place)
    present = [row for row, cell in enumerate(cells) if not is_missing(cell)]
    if not present and kind is None:
        raise DataError(f"{table.source}: {table.name(place)} has no value in any line; leave it out with drop.")
    written = [cells[row] for row in present]
    at = _at(where, present)
    try:
        kind = kind or _kind(written, at)
        column, read = Column(table.name(place), kind), np.empty(0)
        if kind == "category":
            column = Column(column.name, kind, tuple(sorted(set(written))))
            place_of = {text: position for position, text in enumerate(column.categories)}
            read = np.array([place_of[text] for text in written], np.float64)
        elif kind == "date":
            read = _days(written, at)
        else:
            read = numbers(written, at, "")
    except DataError as error:
        raise DataError(f"{table.source}, {str(error).removeprefix(', ')}") from None
    values = np.full(len(cells), np.nan)
    values[present] = read
    return column, values


def id_warning(column: Column, values: Array) -> str | None:
    """A sentence about a column that numbers the rows or names them; None for other columns."""
    name = column.name.removeprefix("column ").strip("'\"")
    if column.kind != "number" or len(values) < 10 or np.isnan(values).any():
        return None
    distinct = np.unique(values)
    if len(distinct) < len(values) or not np.array_equal(distinct, np.round(distinct)):
        return None
    counts = distinct[-1] - distinct[0] == len(distinct) - 1
    if not counts and not (_ID_NAME.fullmatch(name) or name.lower() in ("id", "index", "uuid")):
        return None
    what = "numbers the rows" if counts else "has another whole number in each row"
    return f"{column.name} {what}, as an id does: it tells nothing about new rows. Leave it out with drop."


def code_warning(column: Column, cells: Sequence[str]) -> str | None:
    """A sentence about numbers with leading zeros, which are rather codes; None for other columns."""
    code = next((cell for cell in cells if is_code(cell)), None)
    if column.kind != "number" or code is None:
        return None
    return f"{column.name} is read as quantities, but {_short(code)} looks like a code. If so, name it in categories."


def _kind(written: Sequence[str], where: Where) -> str:
    """What the cells that are there hold.

    Raises: DataError (numbers among texts, numbers with something around them, dates in another form, or texts that are
    no categories). The sentence begins with the place.
    """
    others = [row for row, cell in enumerate(written) if not is_number(cell)]
    if not others:
        return "number"
    row = others[0]
    cell = _short(written[row])
    if len(others) < len(written):
        raise DataError(
            f"{where(row)}: {cell} is not a number, and {len(written) - len(others)} of {len(written)} cells are. "
            "Correct it, leave the column out with drop, or name it in categories."
        )
    if all(map(_ISO_DATE.fullmatch, written)):
        return "date"
    odd = [row for row, cell in enumerate(written) if _OTHER_DATE.fullmatch(cell) and not _ISO_DATE.fullmatch(cell)]
    if odd:
        raise DataError(
            f"{where(odd[0])}: {_short(written[odd[0]])} looks like a date; write all as 2026-11-27 or "
            "2026-11-27 13:30, or leave the column out with drop."
        )
    if all(map(looks_numeric, written)):
        raise DataError(
            f"{where(row)}: {cell} is not a plain number; write the number only, or name the column in categories."
        )
    if problem := label_problem(written, where):
        if "only one example has" in problem:
            single = problem.partition(";")[0].replace(" labels ", " texts ")
            raise DataError(f"{single}. Leave the column out with drop.")
        raise DataError(f"{problem.rstrip('.')}.")
    return "category"


def _days(written: Sequence[str], where: Where) -> Array:
    """Days since 1970-01-01; a time without a zone is in UTC.

    Raises: DataError (there is no such date, or some times have a zone and others have none).
    """
    days, zoned = [], None
    for row, cell in enumerate(written):
        try:
            read = datetime.fromisoformat(cell)
        except ValueError:
            raise DataError(f"{where(row)}: there is no date {_short(cell)}; write one as 2026-11-27.") from None
        if zoned not in (None, read.tzinfo is not None):
            raise DataError(
                f"{where(row)}: {_short(cell)} has {'no' * bool(zoned) or 'a'} time zone, unlike the ones before."
            )
        zoned = read.tzinfo is not None
        since = (read if zoned else read.replace(tzinfo=UTC)) - _EPOCH
        days.append(since.total_seconds() / _DAY_S)
    return np.array(days)


def _at(where: Where, rows: Sequence[int]) -> Where:
    """Says where the cells in these rows of a column stand."""
    return lambda place: where(rows[place])


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 20 else cell[:17] + "...")
