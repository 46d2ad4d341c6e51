"""What a command prints: JSON for scripts, or a table that fits the terminal."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from sturgeon.cli import tables
from sturgeon.cli.streams import takes_any_text

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

    from sturgeon.messages import Study


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, at once; to standard output unless another stream is given."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def say_prose(text: str) -> None:
    """Print sentences, in lines that fit the terminal."""
    room = max(tables.width(), 1)
    say("\n".join(textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)))


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
    """Standard output, for what is drawn again in place. Text from others is never interpreted as markup."""
    return _console(tables.window())


def _console(width: int) -> Console:
    from rich.console import Console

    unlimited = width == tables.UNLIMITED
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=unlimited)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    prose: Collection[str] = (),
    keep: Collection[str] = (),
    last: Sequence[str] = (),
    room: int | None = None,
) -> tuple[Table, list[str]]:
    """A table without borders that fits into `room` characters (by default the terminal), and the columns left out.

    right: the columns that are aligned right. prose: those that may be cut. keep, last: see `tables.fit`.
    """
    from rich.cells import cell_len
    from rich.table import Table

    texts = [[cell(value) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *texts, strict=True)]
    empty = [
        place for place in range(len(columns)) if texts and all(row[place] in ("", tables.MISSING) for row in texts)
    ]
    room = tables.window() if room is None else room
    fit = tables.fit(columns, widths, room, empty=empty, prose=prose, keep=keep, last=last)
    built = Table(box=None, pad_edge=False, padding=(0, tables.GAP, 0, 0), header_style="bold")
    for place, width in zip(fit.shown, fit.widths, strict=True):
        name = columns[place]
        built.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=width,
            max_width=width,
        )
    for row in texts:
        built.add_row(*(row[place] for place in fit.shown))
    return built, fit.left_out


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    prose: Collection[str] = (),
    keep: Collection[str] = (),
    last: Sequence[str] = (),
) -> None:
    """Print a table; where columns had to be left out, a line below names them."""
    room = tables.width()
    built, left_out = table(columns, rows, right=right, prose=prose, keep=keep, last=last, room=room)
    _console(room).print(built)
    if any(left_out):
        say(tables.not_shown(left_out, room))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names with their values, one below the other."""
    for line in tables.facts([(name, cell(value)) for name, value in facts.items()], tables.width()):
        say(line)


def cell(value: object) -> str:
    """A value for people: 4 significant digits, local time, and no control characters."""
    if value is None:
        return tables.MISSING
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
