"""Tables that are sent as files: cells of CSV, and a file that is written at once and read while it is sent."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import AnyStr, Final

IN_MEMORY: Final = 1_000_000
"""An export of more characters is kept on disk while it is sent."""
CHUNK: Final = 65_536

# Also the wide forms of the four signs, which East Asian spreadsheets take for them.
FORMULA_STARTS: Final = (*"=+-@\t\r", *"\uff1d\uff0b\uff0d\uff20")


def streamed(file: SpooledTemporaryFile[AnyStr], chunk: int = CHUNK) -> Iterator[AnyStr]:
    """What is in the file, in parts of so many characters or bytes; it is closed in the end."""
    with file:
        file.seek(0)
        while part := file.read(chunk):
            yield part


def csv_line(cells: Sequence[object]) -> str:
    """A line of CSV with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(["" if cell is None else _inert(cell) for cell in cells])
    return text.getvalue()


def _inert(cell: object) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front, which spreadsheets take for "this
    is text"; numbers stay as they are."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" \n").startswith(FORMULA_STARTS) else cell
