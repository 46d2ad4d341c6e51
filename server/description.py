"""The server's description of itself (OpenAPI): as narrow as what the routes take."""

from __future__ import annotations

from typing import Any, Final

from sturgeon.messages import ProblemAnswer
from sturgeon.training import TrainTask
from sturgeon.values import NO_NUL

PLAIN_OBJECT: Final[dict[str, Any]] = {
    "propertyNames": {"pattern": NO_NUL},
    "additionalProperties": {"$ref": "#/components/schemas/PlainJson"},
}
"""An object of any form, whose texts both databases can store."""

PLAIN_JSON: Final[dict[str, Any]] = {
    "title": "PlainJson",
    "anyOf": [
        {"type": "string", "pattern": NO_NUL},
        *({"type": kind} for kind in ("number", "boolean", "null")),
        {"type": "array", "items": {"$ref": "#/components/schemas/PlainJson"}},
        {"type": "object", **PLAIN_OBJECT},
    ],
}


def narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's description, with what it leaves out or leaves open.

    The fields of a train task are a schema of their own, TrainTask. All problems refer to one schema. (As a response's
    `model` it would be offered as plain JSON, too.) An object whose names have a pattern has no others, what is in a
    list or an object of any form is plain JSON, and a parameter of an address or a header is left out instead of being
    null.
    """
    schema["components"]["schemas"]["ProblemAnswer"] = ProblemAnswer.model_json_schema()
    schema["components"]["schemas"]["PlainJson"] = PLAIN_JSON
    schema["components"]["schemas"]["TrainTask"] = TrainTask.model_json_schema()
    _close_objects(schema)
    for path in schema["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
    return schema


def _close_objects(part: object) -> None:
    if isinstance(part, dict):
        if "patternProperties" in part:
            part.setdefault("additionalProperties", False)
        if part.get("additionalProperties") is True:
            part |= PLAIN_OBJECT
        if part.get("items") is True:
            part["items"] = {"$ref": "#/components/schemas/PlainJson"}
        for value in part.values():
            _close_objects(value)
    elif isinstance(part, list):
        for value in part:
            _close_objects(value)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    options: list[dict[str, Any]] = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {name: value for name, value in schema.items() if name != "anyOf"} | options[0]
