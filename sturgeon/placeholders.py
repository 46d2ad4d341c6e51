"""Placeholders in the arguments of a command: `{name}` is a parameter's value, `{{` and `}}` are braces."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PARTS: Final = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")


class Placeholder(NamedTuple):
    """The place of a value in an argument."""

    name: str


def parts_of(argument: str) -> list[str | Placeholder]:
    """The texts and the placeholders that an argument is made of, in order. Raises: ValueError (a single brace)."""
    parts: list[str | Placeholder] = []
    for part in filter(None, _PARTS.split(argument)):
        if part in ("{{", "}}"):
            parts.append(part[0])
        elif part in ("{", "}"):
            raise ValueError(f"write {part}{part} for a brace, and {{name}} for a parameter, in {argument[:60]!r}")
        elif part.startswith("{") and part.endswith("}"):
            parts.append(Placeholder(part[1:-1]))
        else:
            parts.append(part)
    return parts


def names_in(argument: str) -> list[str]:
    """The names of its placeholders, in order. Raises: ValueError (a single brace)."""
    return [part.name for part in parts_of(argument) if isinstance(part, Placeholder)]
