"""How `--help` is drawn: as typer does with Rich, and in a window that is too narrow for its columns as a list."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from typer.core import TyperCommand

NARROW: Final = 80
"""Below this many characters a line, a column of Rich's tables is narrower than the words in it, and cuts them."""

_UNUSED: Final = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
"""What typer's help imports of Rich and ours never draws: with a parser of Markdown and Pygments, half of its time."""
_PIECES: Final = re.compile(r"(\s*)([^\s|]*\||[^\s|]+)")
"""Words, and choices with the sign after them; each after the space before it."""


class Command(TyperCommand):
    """A command whose help fits the window."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if draws_list(self, ctx, formatter):
            return
        with whole_choices():
            super().format_help(ctx, formatter)


def draws_list(command: Any, ctx: Any, formatter: Any) -> bool:
    """Write the help as a list if the window is narrow, and say whether it is."""
    room = _window()
    if room < NARROW:
        formatter.write("\n".join(_list(command, ctx, room)))
    return room < NARROW


@contextmanager
def whole_choices() -> Iterator[None]:
    """Typer's help, without what it never draws, lets a list of choices go on in the next line between two of them."""
    with without_unused():
        rich_utils: Any = import_module("typer.rich_utils")
        folded = rich_utils.types_highlighter
        rich_utils.types_highlighter = lambda types: _Choices(types, folded)
        try:
            yield
        finally:
            rich_utils.types_highlighter = folded


class _Choices:
    """What an option takes, in a column of Rich's. types: as typer writes it; paint: gives a line its colours."""

    def __init__(self, types: Any, paint: Callable[[Any], Any]) -> None:
        self._types, self._paint = types, paint

    def __rich_measure__(self, console: Any, options: Any) -> Any:
        return self._types.__rich_measure__(console, options)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        for line in _wrapped(self._types.plain, options.max_width, ""):
            drawn = self._types.blank_copy(line)
            drawn.overflow = "fold"
            yield self._paint(drawn)


@contextmanager
def without_unused() -> Iterator[None]:
    """Typer's help is imported within, if it is; afterwards each module is to be had again."""
    stood_in = [name for name in _UNUSED if name not in sys.modules]
    for name in stood_in:
        sys.modules[name] = module = ModuleType(name)
        setattr(module, _UNUSED[name], type(_UNUSED[name], (), {}))
    try:
        yield
    finally:
        for name in stood_in:
            del sys.modules[name]


def _list(command: Any, ctx: Any, room: int) -> Iterator[str]:
    """The lines of a help page: each option, argument or command, and below it what it is."""
    yield from _wrapped(command.get_usage(ctx), room, "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ""
        yield from _wrapped(paragraph, room, "")
    records = [(parameter, parameter.get_help_record(ctx)) for parameter in command.get_params(ctx)]
    below = [command.get_command(ctx, name) for name in getattr(command, "commands", {})]
    for title, entries in (
        ("Arguments", [record for one, record in records if record and one.param_type_name == "argument"]),
        ("Options", [record for one, record in records if record and one.param_type_name == "option"]),
        ("Commands", [(one.name, one.help) for one in below if not one.hidden]),
    ):
        yield from ["", f"{title}:"] if entries else []
        for name, summary in entries:
            yield from _wrapped(name, room, "  ")
            yield from _wrapped(summary, room, "      ")
    if command.epilog:
        yield ""
        yield from _wrapped(command.epilog, room, "")


def _wrapped(text: str, room: int, indent: str) -> list[str]:
    """Lines that go on between two words, or between two of a list of choices; a longer word is not cut."""
    lines: list[str] = []
    for space, piece in _PIECES.findall(text):
        gap = " " if space else ""
        if lines and len(lines[-1] + gap + piece) <= room:
            lines[-1] += gap + piece
        else:
            lines.append(indent + piece)
    return lines


def _window() -> int:
    """The width of the window, found as Rich finds it: COLUMNS, or that of the first stream that is a terminal."""
    if (columns := os.environ.get("COLUMNS", "")).isdecimal():
        return int(columns)
    for descriptor in range(3):
        try:
            return os.get_terminal_size(descriptor).columns or NARROW
        except OSError:
            continue
    return NARROW
