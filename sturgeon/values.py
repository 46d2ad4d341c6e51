"""What a parameter may be: plain values of JSON that both databases can store, and when two of them are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeGuard

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

NO_NUL: Final = r"^[^\u0000]*$"
LARGEST_INT: Final = 2**53  # beyond it a float, and so JSON in many languages, cannot tell two integers apart

Json = dict[str, Any]
"""A JSON object whose fields are known to whoever reads it."""

Number = int | float
Value = str | bool | int | float | None | list[Number] | list[str]
"""What a parameter may be: a JSON value without objects."""


def plain_value(value: object) -> object:
    """`value`, if it is a `Value` and can be stored: no infinite numbers, NUL, lone surrogates, huge integers.

    Raises: ValueError.
    """
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not 0 < len(value) <= 100:
        raise ValueError("write a list of 1 to 100 numbers or strings")
    for item in items:
        if isinstance(item, str):
            plain_text(item)
            if len(item) > 1000:
                raise ValueError("write at most 1000 characters")
        elif isinstance(item, bool) or item is None:
            if isinstance(value, list):
                raise ValueError("write a list of numbers or strings only")
        elif isinstance(item, int):
            if abs(item) > LARGEST_INT:
                raise ValueError("write an integer of at most 2^53")
        elif not isinstance(item, float) or not math.isfinite(item):
            raise ValueError("write a finite number, a string, true, false, null, or a list of numbers or strings")
    return value


def plain_text(text: str) -> str:
    """`text`, if both databases can store it. Raises: ValueError."""
    if "\0" in text or not _is_utf8(text):
        raise ValueError("write text without NUL characters and lone surrogates")
    return text


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


_TEXT: Final[Json] = {"type": "string", "maxLength": 1000, "pattern": NO_NUL}
_LISTS: Final[list[Json]] = [
    {"type": "array", "minItems": 1, "maxItems": 100, "items": {"anyOf": [_TEXT, {"type": "number"}]}}
]
PlainText = Annotated[str, AfterValidator(plain_text), _Described({"pattern": NO_NUL})]
PlainValue = Annotated[
    Any,
    BeforeValidator(plain_value),
    _Described({"anyOf": [_TEXT, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, *_LISTS]}),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,63}$")]


def same_value(a: object, b: object) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    return value_key(a) == value_key(b)


def value_key(value: object) -> Hashable:
    """What is equal for equal values as JSON, for sets and dicts."""
    return isinstance(value, bool), tuple(value) if isinstance(value, list) else value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number of JSON; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short_text(value: object) -> str:
    """The value for a sentence, in at most 60 characters."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
