"""What a parameter may be: plain values of JSON that both databases can store, and when two of them are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeGuard

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

NO_NUL: Final = r"^[^\u0000]*$"
LARGEST_INT: Final = 2**53  # beyond it a float, and so JSON in many languages, cannot tell two integers apart

Json = dict[str, Any]
"""A JSON object whose fields are known to whoever reads it."""

Number = int | float
Value = str | bool | int | float | None | list[Any] | dict[str, Any]
"""What a parameter may be: a JSON value, of bounded size."""

MOST_DEPTH: Final = 3
MOST_ENTRIES: Final = 100
MOST_PARTS: Final = 1000
MOST_CHARACTERS: Final = 1000


def plain_value(value: object) -> object:
    """`value`, if it is a `Value` and can be stored: no infinite numbers, NUL, lone surrogates, huge integers; lists
    and objects up to 3 deep, of 100 entries each and 1000 in all.

    Raises: ValueError.
    """
    left = MOST_PARTS
    todo = [(value, 1)]
    while todo:
        part, depth = todo.pop()
        inside = _inside(part)
        left -= len(inside)
        if left < 0:
            raise ValueError(f"write at most {MOST_PARTS} entries in all")
        if isinstance(part, list | dict) and depth > MOST_DEPTH:
            raise ValueError(f"write lists and objects in at most {MOST_DEPTH} levels")
        todo += [(one, depth + 1) for one in inside]
    return value


def _inside(part: object) -> list[object]:
    """The entries of a list or an object. Raises: ValueError (what the part itself cannot be)."""
    if isinstance(part, list | dict):
        if len(part) > MOST_ENTRIES:
            raise ValueError(f"write a list or an object of at most {MOST_ENTRIES} entries")
        if isinstance(part, list):
            return part
        for key in part:
            _text(key)
        return list(part.values())
    if isinstance(part, str):
        _text(part)
    elif isinstance(part, int):  # a bool is one
        if abs(part) > LARGEST_INT:
            raise ValueError("write an integer of at most 2^53")
    elif part is not None and (not isinstance(part, float) or not math.isfinite(part)):
        raise bad_form("write a finite number, a string, true, false, null, or a list or an object of these")
    return []


def _text(text: object) -> None:
    if not isinstance(text, str):
        raise bad_form("write an object whose names are text")
    plain_text(text)
    if len(text) > MOST_CHARACTERS:
        raise bad_form(f"write at most {MOST_CHARACTERS} characters")


def plain_text(text: str) -> str:
    """`text`, if both databases can store it. Raises: ValueError."""
    if "\0" in text or not _is_utf8(text):
        raise bad_form("write text without NUL characters and lone surrogates")
    return text


def bad_form(sentence: str) -> ValueError:
    """The error of a value that the server's description forbids, so that it is refused as `Invalid`. Any other
    ValueError of a validator is about what no schema can say, and refused as a `Contradiction`."""
    return PydanticCustomError("bad_form", "{sentence}", {"sentence": sentence})


def as_plain_text(text: str) -> str:
    """`text` as both databases can store it, with a question mark for what they cannot."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class _Described:
    """What the server's description says of a type that a function validates."""

    schema: Json

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return handler(core) | self.schema


_TEXT: Final[Json] = {"type": "string", "maxLength": MOST_CHARACTERS, "pattern": NO_NUL}


PlainText = Annotated[str, AfterValidator(plain_text), _Described({"pattern": NO_NUL})]
# What is inside of a list or an object may be anything by its form: `server/description.py` writes it out.
_LIST: Final[Json] = {"type": "array", "maxItems": MOST_ENTRIES, "items": True}
_OBJECT: Final[Json] = {"type": "object", "maxProperties": MOST_ENTRIES, "additionalProperties": True}
_KINDS: Final[list[Json]] = [_TEXT, *({"type": kind} for kind in ("number", "boolean", "null")), _LIST, _OBJECT]
PlainValue = Annotated[Any, BeforeValidator(plain_value), _Described({"anyOf": _KINDS})]

_SIGNS: Final = r"A-Za-z0-9_.\-/:;@%+*#$&|~^!?<>'()\[\]"
NAME: Final = f"^[{_SIGNS}]([{_SIGNS} ]{{0,98}}[{_SIGNS}])?$"
Name = Annotated[str, Field(pattern=NAME)]
"""The name of a parameter or a metric: `lr`, `--lr`, `val/loss`, `mAP50-95(B)`, `dev loss`. Letters, digits and signs,
with blanks between them, but none of = , ` " { } and the backslash: those end a name in `name=value`, in a
list, in a constraint, in a placeholder and in JSON."""


def same_value(a: object, b: object) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not; the order of an object's names does not matter."""
    return value_key(a) == value_key(b)


def value_key(value: object) -> Hashable:
    """What is equal for equal values as JSON, for sets and dicts."""
    if isinstance(value, list):
        return "list", *map(value_key, value)
    if isinstance(value, dict):
        return "object", frozenset((name, value_key(one)) for name, one in value.items())
    return isinstance(value, bool), value


def value_text(value: object) -> str:
    """The value for a command line or an environment variable: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number of JSON; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short_text(value: object) -> str:
    """The value for a sentence, in at most 60 characters."""
    as_json = value is None or isinstance(value, bool | list | dict)
    text = json.dumps(value) if as_json else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
