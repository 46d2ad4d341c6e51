"""The arguments of a route's function, filled in from a request that has all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction, isfunction, isgeneratorfunction
from typing import Any, Final, Literal, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.params import Header
from pydantic import BaseModel, ValidationError

Values = dict[str, Any]
TAKEN: Final = ("path_params", "query_params", "header_params", "cookie_params", "body_params", "dependencies")
"""What a dependency may take besides the app and the request."""


@dataclass(frozen=True)
class _Parameter:
    """One text of an address or a header: its name in the function and in the request, and FastAPI's field."""

    name: str
    key: str
    field: Any

    @classmethod
    def of(cls, field: Any) -> _Parameter:
        key = field.alias
        if key == field.name and isinstance(field.field_info, Header):
            key = key.replace("_", "-")
        return cls(field.name, key, field)

    def value(self, sent: Mapping[str, Any]) -> tuple[bool, Any]:
        """Whether it is valid, or may be left out, and its value."""
        text = sent.get(self.key)
        if text is None:
            return not self.field.field_info.is_required(), self.field.get_default()
        value, problems = self.field.validate(text, {}, loc=())
        return not problems, value

    def is_known(self) -> bool:
        """Whether it is neither a list nor a model of several."""
        leaves = get_args(self.field.field_info.annotation) or (self.field.field_info.annotation,)
        return not any(get_origin(leaf) or _is_message(leaf) for leaf in leaves if get_origin(leaf) is not Literal)


@dataclass(frozen=True)
class Arguments:
    """What a function takes: parameters of the address and of headers, at most one message, and parts of the app."""

    described: Dependant
    from_app: tuple[tuple[str, Callable[..., Any]], ...]
    path: tuple[_Parameter, ...]
    query: tuple[_Parameter, ...]
    headers: tuple[_Parameter, ...]
    message: tuple[str, type[BaseModel]] | None

    @classmethod
    def of(cls, described: Dependant) -> Arguments | None:
        """None if it takes something else."""
        from_app = [(part.name, part.call) for part in described.dependencies if _is_from_app(part)]
        messages = [(part.name, part.field_info.annotation) for part in described.body_params]
        others = (
            described.cookie_params,
            described.background_tasks_param_name,
            described.security_scopes_param_name,
            described.http_connection_param_name,
            described.websocket_param_name,
        )
        fields = (described.path_params, described.query_params, described.header_params)
        path, query, headers = (tuple(map(_Parameter.of, some)) for some in fields)
        is_known = len(from_app) == len(described.dependencies) and len(messages) <= 1 and not any(others)
        are_known = all(one.is_known() for one in (*path, *query, *headers)) and all(
            _is_message(kind) for _, kind in messages
        )
        if not is_known or not are_known:
            return None
        message: Any = messages[0] if messages else None
        return cls(described, tuple(from_app), path, query, headers, message)  # type: ignore[arg-type]

    def without_message(self, request: Request, path: Mapping[str, Any]) -> Values | None:
        """All but the message; None if one is missing or not valid."""
        described = self.described
        values: Values = {name: call(request) for name, call in self.from_app}
        for parameters, sent in (
            (self.path, path),
            (self.query, request.query_params if self.query else {}),
            (self.headers, request.headers),
        ):
            for one in parameters:
                is_valid, values[one.name] = one.value(sent)
                if not is_valid:
                    return None
        if described.request_param_name:
            values[described.request_param_name] = request
        if described.response_param_name:
            values[described.response_param_name] = to_fill_in()
        return values


def read(message: type[BaseModel], body: bytes) -> BaseModel | None:
    """The message in the JSON of a body; None if it is not valid."""
    try:
        return message.model_validate_json(body)
    except ValidationError:
        return None


def to_fill_in() -> Response:
    """A response whose headers and status a function may set, and which says nothing by itself."""
    response = Response()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]  # FastAPI does it like this
    return response


def _is_message(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_from_app(part: Dependant) -> bool:
    takes_more = any(getattr(part, kind) for kind in TAKEN) or part.response_param_name
    is_plain = isfunction(part.call) and not iscoroutinefunction(part.call) and not isgeneratorfunction(part.call)
    return part.request_param_name == "request" and is_plain and not takes_more
