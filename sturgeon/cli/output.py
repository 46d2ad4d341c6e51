"""What a command prints: JSON for scripts, or a table, which is cut only to the width of a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

from sturgeon.cli.streams import takes_any_text

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

    from sturgeon.messages import Study

UNLIMITED: Final = 10_000
MISSING: Final = "-"


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, at once; to standard output unless another stream is given."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def say_json(text: str) -> None:
    """Print a line of JSON; where standard output is not UTF-8, with escapes that mean the same."""
    say(text if takes_any_text() else re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text))


def print_json(answer: BaseModel | Sequence[BaseModel] | Mapping[str, object]) -> None:
    """Print an answer of the server unchanged, or several of them as a JSON array."""
    plain: object = answer
    if isinstance(answer, Sequence):
        plain = [item.model_dump(mode="json") for item in answer]
    elif not isinstance(answer, Mapping):
        plain = answer.model_dump(mode="json")
    say_json(json.dumps(plain, indent=2, ensure_ascii=False))


def console() -> Console:
    """Standard output. Text from others (titles, errors) is never interpreted as markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> Table:
    """A table without borders; `right` names the columns that are aligned right."""
    from rich.table import Table

    built = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        built.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    for row in rows:
        built.add_row(*(cell(value) for value in row))
    return built


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    console().print(table(columns, rows, right=right))


def cell(value: object) -> str:
    """A value for people: 4 significant digits, local time, and no control characters."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(name)}={cell(item)}" for name, item in value.items())
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))


def metric(study: Study, name: str, value: float | None) -> str:
    """A metric for people. The errors of a train task are shares, and are shown in per cent."""
    if value is not None and study.train_task is not None and name.endswith("_error"):
        return f"{100 * value:.2f} %"
    return cell(value)


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
