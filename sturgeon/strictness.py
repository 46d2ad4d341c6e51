"""What all that a stranger sends has in common: unknown fields are refused by name, types are not guessed."""

from __future__ import annotations

import difflib

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A model that takes its own fields only, and says which those are."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, data: object) -> object:
        if isinstance(data, dict):
            unknown = [key for key in data if key not in cls.model_fields]
            if unknown:
                raise unknown_name("field", str(unknown[0]), list(cls.model_fields))
        return data


def unknown_name(kind: str, name: str, known: list[str]) -> PydanticCustomError:
    """A validation error whose `ctx` says where (`field`) and whose sentence names the choices."""
    shown = name if len(name) <= 64 else name[:61] + "..."
    shown = shown.encode(errors="replace").decode()  # pydantic cannot tell of lone surrogates
    near = difflib.get_close_matches(shown, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return PydanticCustomError(
        "unknown_field",
        "unknown {kind}; {hint}the {kind}s are {known}",
        {"field": shown, "kind": kind, "hint": hint, "known": ", ".join(known)},
    )
