"""What `sturgeon study export` writes beside the server's own csv and lines of JSON: curves, and parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sturgeon.extras import require

if TYPE_CHECKING:
    from sturgeon.values import Json

FORMULA_STARTS: Final = tuple("=+-@\t\r＝＋－＠")


def columns_of(rows: Iterable[Json]) -> list[str]:
    """The names of all rows, in the order in which they come first."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_csv(rows: list[Json]) -> Iterator[str]:
    """Lines of csv. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    columns = columns_of(rows)
    yield _line(columns)
    for row in rows:
        yield _line([_cell(row.get(name)) for name in columns])


def as_json_lines(rows: Iterable[Json]) -> Iterator[str]:
    """An object a line; numbers that are not finite are null."""
    for row in rows:
        yield json.dumps({name: _json(value) for name, value in row.items()}, allow_nan=False)


def write_parquet(rows: list[Json], file: Path) -> None:
    """A parquet file; what is neither a number, a text, a truth value nor a date is JSON in a text.

    Raises: MissingExtra (pyarrow is not installed).
    """
    require("parquet", "`sturgeon study export --format parquet`")
    import pyarrow
    import pyarrow.parquet

    table = {name: _column([row.get(name) for row in rows]) for name in columns_of(rows)}
    pyarrow.parquet.write_table(pyarrow.table(table), file)


def _column(values: list[Any]) -> list[Any]:
    """The values, all of one type: whole numbers and others are floats, and what else is mixed is JSON."""
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1 and types <= {int, float, str, bool, datetime}:
        return values
    if types <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else json.dumps(_json(value)) for value in values]


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and value - value != 0 else value


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, bool | list | dict) else value


def _line(cells: list[Any]) -> str:
    inert = [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in cells]
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if cell is None else cell for cell in inert])
    return text.getvalue()
