"""Errors -> application/problem+json (RFC 9457). The only place that turns an exception into an answer."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sturgeon.errors import (
    BadRequest,
    Contradiction,
    FieldProblem,
    Forbidden,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooManyWrongTokens,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    json_pointer,
)
from sturgeon.messages.patterns import SENTENCES

MOST_ERRORS: Final = 50
log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(Exception, unexpected)


def problem_response(problem: Problem) -> Response:
    """The problem as it goes over the wire. ASCII and without NaN, whatever the sentence says."""
    body = {
        "type": f"urn:sturgeon:problem:{problem.code}",
        "title": (type(problem).__doc__ or problem.code).strip(),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.message,
        "errors": [{"pointer": p.pointer, "detail": p.detail} for p in problem.errors[:MOST_ERRORS]],
    }
    headers = {}
    if isinstance(problem, Unavailable | TooManyWrongTokens):
        headers["Retry-After"] = str(problem.retry_after_s)
    if isinstance(problem, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    text = json.dumps(body, ensure_ascii=True, allow_nan=False)
    return Response(text, problem.status, headers, media_type="application/problem+json")


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known: dict[int, type[Problem]] = {
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        405: MethodNotAllowed,
    }
    answer = known.get(error.status_code, BadRequest if error.status_code < 500 else InternalError)
    response = problem_response(answer())
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    if error.status_code == 405 and (methods := request.app.state.direct.methods(request.scope["path"])):
        response.headers["Allow"] = ", ".join(methods)
    return response


async def _disconnected(_request: Request, _error: Exception) -> Response:
    """Nobody reads this answer: the connection ended amid the body, which is no fault of the server."""
    return problem_response(BadRequest("The connection ended before the whole body had come."))


async def unexpected(request: Request, error: Exception) -> Response:
    """The answer to a request that failed by a fault of ours, which is logged."""
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return problem_response(InternalError())


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return problem_response(BadRequest("The body is not valid JSON."))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if errors and tuple(errors[0]["loc"]) == ("body",) and not kind.endswith("json"):
        return problem_response(UnsupportedMediaType())
    problems = tuple(_field_problem(field_error, error.body) for field_error in errors[:MOST_ERRORS])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    # What our own validators refuse by a ValueError, no schema can say.
    kind_of_problem = Contradiction if all(error["type"] == "value_error" for error in errors) else Invalid
    return problem_response(kind_of_problem(f"The request is not valid: {problems[0].detail}{more}.", problems))


def _field_problem(error: dict[str, Any], body: object) -> FieldProblem:
    """The problem without the value that was sent: that may be huge, secret, or not encodable."""
    where, *path = error["loc"]
    if error["type"] == "unknown_field":
        path.append(error["ctx"]["field"])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path.append(error["ctx"]["discriminator"].strip("'"))
    parts = _real_parts(path, body) if where == "body" else [str(part) for part in path]
    name = ".".join(parts) or "body"
    pointer = json_pointer(*parts)
    return FieldProblem(pointer if where == "body" else f"{where}:{name}", f"{name}: {_sentence(error)}")


def _sentence(error: dict[str, Any]) -> str:
    if error["type"] in ("missing", "union_tag_not_found"):
        return "it is missing"
    if error["type"] == "union_tag_invalid":
        return f"it should be one of {error['ctx']['expected_tags']}"
    if error["type"] == "finite_number" and "metrics" in error["loc"]:
        return 'write a finite number, or null; the end of a run that diverged is told by {"state": "diverged"}'
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "write an object: names with values"
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] in SENTENCES:
        return SENTENCES[error["ctx"]["pattern"]]
    sentence = str(error["msg"]).removeprefix("Value error, ").replace("Input should be a valid", "write a valid", 1)
    return re.sub(r"^\w+ should ", "it should ", sentence)


def _real_parts(path: list[Any], body: Any) -> list[str]:
    """The path without the tags of unions, which pydantic adds and the client did not send."""
    parts: list[str] = []
    here = body
    for i, part in enumerate(path):
        try:
            here = here[part]
        except (LookupError, TypeError):
            if i < len(path) - 1 or part == "[key]":
                continue
        parts.append(str(part)[:64])
    return parts
