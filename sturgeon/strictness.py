"""What all that a stranger sends has in common: unknown fields are refused by name, types are not guessed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NewType, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class WholeNumbers(BaseModel):
    """A model that takes 7.0 for an integer, as JSON does not tell it from 7; 7.5, "7" and true are refused."""

    @model_validator(mode="before")
    @classmethod
    def _take_whole_numbers(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {name: _as_integers(value) if name in _integer_fields(cls) else value for name, value in data.items()}


@cache
def _integer_fields(model: type[BaseModel]) -> frozenset[str]:
    """The fields that hold integers, or lists or objects of them, and no other numbers."""
    leaves = {name: set(_leaves(info.annotation)) for name, info in model.model_fields.items()}
    return frozenset(name for name, types in leaves.items() if int in types and not types & {float, Any})


def _leaves(annotation: object) -> Iterator[object]:
    """The types that a type is made of."""
    if isinstance(annotation, NewType):
        yield from _leaves(annotation.__supertype__)
    elif get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif parts := get_args(annotation):
        for part in parts:
            yield from _leaves(part)
    else:
        yield annotation


def _as_integers(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [int(one) if isinstance(one, float) and one.is_integer() else one for one in value]
    if isinstance(value, dict):
        return {key: int(one) if isinstance(one, float) and one.is_integer() else one for key, one in value.items()}
    return value


class Strict(WholeNumbers):
    """A model that takes its own fields only, and says which those are."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, data: object) -> object:
        if isinstance(data, dict):
            unknown = next((key for key in data if key not in cls.model_fields), None)
            if unknown is not None:
                raise unknown_name("field", str(unknown), list(cls.model_fields))
        return data


@dataclass(frozen=True)
class Sized:
    """Of a list or an object: it has `least` to `most` entries, and one of another size is refused before its entries
    are looked at. Of bad entries the first is told, with `every_problem` all of them: choose it for few and small ones.

    So the problems of a message are few, however much was sent: pydantic itself collects those of all entries.
    """

    most: int
    least: int = 0
    every_problem: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        assert schema["type"] in ("list", "dict"), f"{source} has no entries"
        bounds = {"min_length": self.least} if self.least else {}
        bounds |= {"max_length": self.most, "fail_fast": not self.every_problem}
        return core_schema.no_info_before_validator_function(self._sized, schema | bounds)

    def _sized(self, value: object) -> object:
        if isinstance(value, list | dict) and not self.least <= len(value) <= self.most:
            wanted = f"{self.least} to {self.most}" if self.least else f"at most {self.most}"
            raise PydanticCustomError(
                "wrong_size", "write {wanted} entries, not {count}", {"wanted": wanted, "count": len(value)}
            )
        return value


def unknown_name(kind: str, name: str, known: list[str]) -> PydanticCustomError:
    """A validation error whose `ctx` says where (`field`) and whose sentence names the choices."""
    shown = name if len(name) <= 64 else name[:61] + "..."
    shown = shown.encode(errors="replace").decode()  # pydantic cannot tell of lone surrogates
    near = difflib.get_close_matches(shown, known, n=1, cutoff=0.65)  # a typo, not another word
    hint = f"did you mean {near[0]}? " if near else ""
    return PydanticCustomError(
        "unknown_field",
        "unknown {kind}; {hint}the {kind}s are {known}",
        {"field": shown, "kind": kind, "hint": hint, "known": ", ".join(known)},
    )
