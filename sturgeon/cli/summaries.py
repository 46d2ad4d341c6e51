"""What data were read as, for a person: how a trial or a file is summed up."""

from __future__ import annotations

import itertools
from datetime import date
from typing import TYPE_CHECKING, Final

from sturgeon.cli.output import cell, print_table, say

if TYPE_CHECKING:
    from sturgeon.messages.findings import DatasetSummary, EncodedColumn

_EPOCH: Final = date(1970, 1, 1).toordinal()


def print_summary(found: DatasetSummary) -> None:
    """Rows, inputs and targets; for a csv file also what each column becomes."""
    rows = "portions" if found.rows is None else f"{found.rows} rows"
    become = "" if found.inputs in (None, found.columns) else f" that become {found.inputs} inputs"
    say(f"{cell(found.dataset)}: {rows}, {found.columns} columns{become}, {found.target_count} {found.kind}.")
    if found.encoded:
        right = ("inputs", "missing")
        print_table(
            ("column", "read as", "inputs", "missing", "filled with"), list(map(_row, found.encoded)), right=right
        )
        say("")
    counted = itertools.zip_longest(found.targets, found.examples)
    print_table((found.kind, "examples"), list(counted), right=("examples",))
    for what, value in {
        "parts": ", ".join(f"{name} {size}" for name, size in found.parts.items()),
        "missing labels": found.missing,
        "dropped columns": ", ".join(found.dropped),
        f"constant columns ({found.constant_count})": ", ".join(found.constant),
        "written with": _dialect(found),
    }.items():
        if value:
            say(f"{what}: {cell(value)}")
    for note in found.notes:
        say(f"Warning: {cell(note)}")


def _row(column: EncodedColumn) -> tuple[object, ...]:
    name = column.column.removeprefix("column ")
    shown = ", ".join(column.categories[:5]) + ", .." * (len(column.categories) > 5) + ", others" * column.other
    kind = f"{column.kind}: {shown}" if column.categories else column.kind
    fill = date.fromordinal(_EPOCH + int(column.fill)).isoformat() if column.kind == "date" else column.fill
    return name, kind, column.inputs, column.missing or None, fill if column.missing else None


def _dialect(found: DatasetSummary) -> str | None:
    written = found.written
    if written is None:
        return None
    header = "a header" if written.header else "no header"
    return f"delimiter {written.delimiter}  decimal {written.decimal}  {written.encoding}  {header}"
