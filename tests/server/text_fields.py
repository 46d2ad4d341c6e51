"""Every place of a request that may hold a text, found in the server's own description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Json = dict[str, Any]
Way = tuple[str | int, ...]

KEY: Final = "{key}"
"""In a way through a body: the name of an entry, and not what it holds."""


class Texts:
    """Of one description."""

    def __init__(self, openapi: Json) -> None:
        self._schemas: Json = openapi["components"]["schemas"]
        self._paths: Json = openapi["paths"]

    def parameters(self) -> Iterator[tuple[str, str, str]]:
        """Operation, where it stands and the name, of each text in an address, a query or a header."""
        for path, methods in self._paths.items():
            for method, operation in methods.items():
                for one in operation.get("parameters", ()):
                    if any(map(_is_free, self._options(one["schema"]))):
                        yield f"{method.upper()} {path}", one["in"], one["name"]

    def of_bodies(self) -> dict[str, set[str]]:
        """By operation, the places of all texts of its body: `Model.field`, and `Model.field{key}` for names."""
        found: dict[str, set[str]] = {}
        for path, methods in self._paths.items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {})
                if "application/json" in content:
                    places: set[str] = set()
                    self._walk(content["application/json"]["schema"], "", places, set())
                    found[f"{method.upper()} {path}"] = places
        return found

    def _walk(self, schema: Json, place: str, places: set[str], seen: set[str]) -> None:
        if (known := f"{place} {schema.get('$ref')}") in seen:  # a list in a list in a list
            return
        if "$ref" in schema:
            seen.add(known)
        for one in self._options(schema):
            if place and _is_free(one):  # a body that may be any object has no place of its own
                places.add(place)
            if "properties" in one:
                model = one.get("title", place)
                if model in seen:
                    continue
                seen.add(model)
                for name, field in one["properties"].items():
                    self._walk(field, f"{model}.{name}", places, seen)
            elif one.get("type") == "object" and place:
                places.add(place + KEY)
            entries = [one.get("items"), one.get("additionalProperties"), *one.get("patternProperties", {}).values()]
            for entry in entries:
                if isinstance(entry, dict):
                    self._walk(entry, place, places, seen)

    def _options(self, schema: Json) -> Iterator[Json]:
        if "$ref" in schema:
            yield from self._options(self._schemas[schema["$ref"].rpartition("/")[2]])
        elif options := schema.get("anyOf", schema.get("oneOf", schema.get("allOf"))):
            for option in options:
                yield from self._options(option)
        else:
            yield schema


def _is_free(schema: Json) -> bool:
    is_any = not schema.keys() - {"title", "description"}
    return (schema.get("type") == "string" or is_any) and "enum" not in schema and "const" not in schema
