"""A report as markdown, with its pictures as PNG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from sturgeon.cli.report_content import Block, Code, Heading, Picture, Prose, Rows
from sturgeon.plots.drawing import drawn

MARKS: Final = re.compile(r"[\\`*_\[\]<>|&~$@#]|(?<=\w):(?=//)|(?i:(?<=www)\.)|^[+=-]")
"""What could mean something to a reader of markdown; a backslash before it makes it itself."""
NUMBERED: Final = re.compile(r"^(\d{1,9})(?=[.)](?: |$))")
"""What an item of a list begins with."""


def as_markdown(title: str, made: str, blocks: Iterable[Block], stem: str) -> tuple[str, dict[str, bytes]]:
    """The text, and the pictures by the names of their files, which begin with `stem`."""
    pictures: dict[str, bytes] = {}
    parts = [f"# {_text(title)}", _text(made)]
    for block in blocks:
        if isinstance(block, Picture):
            name = f"{stem}-{block.kind}.png"
            pictures[name] = drawn(block.spec, "png")
            parts.append(f"![{_text(block.caption)}](<{quote(name)}>)")
        else:
            parts.append(_block(block))
    return "\n\n".join(parts) + "\n", pictures


def _block(block: Heading | Prose | Rows | Code) -> str:
    match block:
        case Heading(text):
            return f"## {_text(text)}"
        case Prose(text, strong):
            lines = "  \n".join(_text(line) for line in text.splitlines() if line.strip())
            return f"**{lines}**" if strong else lines
        case Code(text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Rows():
            return "\n".join(_table(block))


def _table(table: Rows) -> Iterator[str]:
    columns = table.columns or ("", "")
    yield _row(columns)
    yield _row(["--:" if at in table.numbers else "---" for at in range(len(columns))], plain=True)
    yield from map(_row, table.rows)


def _row(cells: Iterable[str], plain: bool = False) -> str:
    return "| " + " | ".join(one if plain else _text(one) for one in cells) + " |"


def _text(text: str) -> str:
    """A text that stays what it is: no link, no HTML, no formula, and all on one line."""
    return NUMBERED.sub(r"\1\\", MARKS.sub(r"\\\g<0>", " ".join(text.split())))
