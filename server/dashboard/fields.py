"""The fields of a train task that may change while a model trains, as a page shows them: with bounds and choices."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from sturgeon.training import TrainTask, flagged

router = APIRouter(include_in_schema=False)

_BOUNDS: Final = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
)


@router.get("/fields/live.json")
def read_live_fields() -> Response:
    """Name -> description, default, range as a sentence, and choices where there are some."""
    return JSONResponse(live_fields(), headers={"Cache-Control": "no-cache"})


@cache
def live_fields() -> dict[str, dict[str, Any]]:
    """Each live field of TrainTask; a page asks for them once."""
    properties = TrainTask.model_json_schema()["properties"]
    return {name: _field(properties[name]) for name in flagged("live")}


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    one = {"description": schema["description"], "default": schema["default"], "range": _range(schema)}
    values = [True, False] if schema.get("type") == "boolean" else schema.get("enum")
    return one if values is None else one | {"values": values}


def _range(schema: dict[str, Any]) -> str:
    """ "more than 0, at most 100", or "" where there are choices instead."""
    single = schema if "anyOf" not in schema else schema["anyOf"][0]
    said = [f"{words} {single[key]:g}" for key, words in _BOUNDS if key in single]
    return ", ".join(said) + ("; or a list" if "anyOf" in schema else "")
