"""Tables that fit the terminal: columns are left out, the least important first, and no value is folded or cut.

Prose (a note, an error) may be cut, since its beginning tells most. Where standard output is no terminal, and in a
command with --wide, nothing is left out; the variable COLUMNS sets the width, as it does for other programs.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

UNLIMITED: Final = 10_000
MISSING: Final = "-"
GAP: Final = 2
"""Blanks between two columns."""
SHORTEST_PROSE: Final = 20

wide: ContextVar[bool] = ContextVar("wide", default=False)
"""Whether the command that runs was given --wide."""


def width() -> int:
    """How many characters a line of standard output may have."""
    return UNLIMITED if wide.get() else window()


def window() -> int:
    """The width of the terminal; UNLIMITED where there is none."""
    # readline exports COLUMNS with LINES to all that an interactive program starts; alone, a person has set it.
    alone = os.environ.get("COLUMNS", "").isdecimal() and "LINES" not in os.environ
    known = sys.stdout.isatty() or alone
    return shutil.get_terminal_size().columns if known else UNLIMITED


@dataclass(frozen=True)
class Fit:
    """What of a table is shown: the columns by their places, the width of each, and the names of those left out."""

    shown: list[int]
    widths: list[int]
    left_out: list[str]


def fit(
    columns: Sequence[str],
    widths: Sequence[int],
    room: int,
    *,
    empty: Collection[int] = (),
    prose: Collection[str] = (),
    keep: Collection[str] = (),
    last: Sequence[str] = (),
) -> Fit:
    """Choose the columns that fit into `room` characters.

    widths: of each column with its name. empty: those without a value, which are left out first and not missed. keep:
    never left out, as the first column. last: the least important ones, these first; then those to the right.
    """
    shown, wanted = list(range(len(columns))), list(widths)
    missed: list[int] = []

    def shortest(place: int) -> int:
        return (
            min(wanted[place], max(SHORTEST_PROSE, len(columns[place]))) if columns[place] in prose else wanted[place]
        )

    def too_wide() -> bool:
        return sum(map(shortest, shown)) + GAP * (len(shown) - 1) > room

    by_name = {name: place for place, name in enumerate(columns)}
    order = [*empty, *(by_name[name] for name in last if name in by_name), *reversed(shown)]
    for place in order:
        if not too_wide():
            break
        if place in shown and place != 0 and columns[place] not in keep:
            shown.remove(place)
            missed += [] if place in empty else [place]
    return Fit(shown, _stretched(shown, wanted, shortest, room), [columns[place] for place in sorted(missed)])


def _stretched(shown: Sequence[int], wanted: Sequence[int], shortest: Callable[[int], int], room: int) -> list[int]:
    """The widths of the shown columns: what is left of the room goes to the prose, from the left."""
    least = [shortest(place) for place in shown]
    free = max(0, room - sum(least) - GAP * (len(shown) - 1))
    given = []
    for place, smallest in zip(shown, least, strict=True):
        more = min(free, wanted[place] - smallest)
        free -= more
        given.append(smallest + more)
    return given


def not_shown(names: Sequence[str], room: int) -> str:
    """What to say of the columns that were left out, in lines that fit. One without a name is not named."""
    said = f"Not shown for want of room: {', '.join(filter(None, names))} (--wide shows all)."
    return "\n".join(textwrap.wrap(said, max(room, 1), break_long_words=False, break_on_hyphens=False))


def facts(lines: Sequence[tuple[str, str]], room: int) -> list[str]:
    """Names with values, one below the other. A long value goes on in the next line, between two words."""
    indent = max((len(name) for name, _ in lines), default=0) + GAP
    written = []
    for name, text in lines:
        parts = [text]
        if len(text) > room - indent:
            parts = textwrap.wrap(text, max(room - indent, 1), break_long_words=False, break_on_hyphens=False)
        written += [f"{name if number == 0 else '':<{indent}}{part}" for number, part in enumerate(parts)]
    return written
