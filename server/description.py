"""The server's description of itself (OpenAPI): as narrow as what the routes take. It is made when somebody first asks
for it, which takes a second, and in a thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

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


class Description:
    """That of one app; `plain` makes FastAPI's. FastAPI's own route would make it, and write it anew for each answer,
    in the event loop."""

    def __init__(self, plain: Callable[[], dict[str, Any]]) -> None:
        self._plain: Final = plain
        self._making: Final = Lock()
        self._schema: dict[str, Any] | None = None
        self._text: bytes | None = None

    def schema(self) -> dict[str, Any]:
        """The description; threads may ask for it at once."""
        with self._making:
            if self._schema is None:
                self._schema = narrowed(self._plain())
            return self._schema

    def answer(self, request: Request) -> Response:
        """The description as JSON. It is no coroutine, so Starlette calls it in a thread."""
        schema, root = self.schema(), request.scope.get("root_path", "").rstrip("/")
        if root:  # the app is a part of another one, and its addresses begin with this
            return Response(_json(schema | {"servers": [{"url": root}]}), media_type="application/json")
        if self._text is None:
            self._text = _json(schema)
        return Response(self._text, media_type="application/json")


def _json(schema: dict[str, Any]) -> bytes:
    return json.dumps(schema, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


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
