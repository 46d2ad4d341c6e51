"""Placeholders in the arguments of a command: `{name}` is a parameter's value, `{{` and `}}` are braces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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


def filled(argv: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The arguments with `{name}` replaced by a value.

    All names are known to be right: one without a value is a conditional parameter that the trial does not have. An
    argument that holds such a name is left out; if it holds nothing else, a flag right before it is, too.
    """
    given: list[str] = []
    for argument in argv:
        parts = parts_of(argument)
        if all(name in values for name in names_in(argument)):
            texts = [as_text(values[part.name]) if isinstance(part, Placeholder) else part for part in parts]
            given.append("".join(texts))
        elif len(parts) == 1 and given and _is_flag(given[-1]):
            given.pop()
    return given


def as_text(value: object) -> str:
    """A parameter as a program is given it: strings as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def variable_name(name: str) -> str:
    """A parameter's name as a part of a variable's: STURGEON_PARAM_<it>."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _is_flag(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument and argument not in ("-", "--")
