"""Requests that schemathesis makes up from the server's own description, with all of its checks: what the description
allows is taken, what it forbids is refused, and every refusal is a problem.
"""

from __future__ import annotations

import tomllib
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import Case
from schemathesis.core.transport import Response
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.hypothesis import builder
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import APIOperation, wrap_test_function
from schemathesis.specs.openapi import checks

from tests.server.description import openapi
from tests.server.studies import refusal

Both = tuple[httpx.Client, httpx.Client]
EXISTING = {"study": "bowl", "number": 0, "step": 1, "worker": "ada"}

EXCEPTIONS = tomllib.loads((Path(__file__).parents[2] / "schemathesis.toml").read_text())["operations"]
HAVE_A_MEANING = set(EXCEPTIONS[0]["include-name"])
"""The operations that may answer 422 to what their schema allows."""

schema = schemathesis.openapi.from_dict(openapi())
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in schema.get_all_operations())}
LEFT_OUT = (  # what schemathesis notes of a test of which it could not make all requests
    builder.InvalidHeadersExampleMark,
    builder.InvalidRegexMark,
    builder.MissingPathParameters,
    builder.NonSerializableMark,
    builder.UnsatisfiableExampleMark,
    builder.UnserializablePayloadMark,
)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Requested-With"] = "schemathesis"
        yield session


@pytest.mark.fault("L10")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_made_up_requests_are_answered_or_refused(both_kinds: Both, session: requests.Session, operation: str) -> None:
    """The requests are made up here and not, as by `schema.parametrize`, in each process that collects the tests."""
    made_up = of_operation(OPERATIONS[operation])
    try:
        made_up(both_kinds=both_kinds, session=session)
    except unittest.SkipTest as skipped:
        raise AssertionError(f"no request was made up for {operation}") from skipped
    assert [mark.attr_name for mark in LEFT_OUT if mark.is_set(made_up)] == []


def of_operation(operation: APIOperation) -> Any:
    return build_operation_test(
        config=schema.config,
        operation=operation,
        test_func=wrap_test_function(is_answered_or_refused),
        given_kwargs={},
        feedback=NO_FEEDBACK,
    )


@hypothesis.seed(20_260_101)
@hypothesis.settings(max_examples=8, database=None, suppress_health_check=list(hypothesis.HealthCheck))
def is_answered_or_refused(both_kinds: Both, session: requests.Session, case: Case) -> None:
    wait_for_nothing(case)
    on_sqlite, on_postgres = both_kinds
    check(case, on_postgres, session)
    if case.method != "DELETE" and case.path_parameters:
        # The same once more for what is there.
        case.path_parameters.update({name: EXISTING[name] for name in case.path_parameters if name in EXISTING})
        check(case, on_sqlite, session, replaced=True)
        check(case, on_postgres, session, replaced=True)


def wait_for_nothing(case: Case) -> None:
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("wait"), int | float) and 0 < body["wait"] <= 30:
        body["wait"] = 0


def check(case: Case, http: httpx.Client, session: requests.Session, *, replaced: bool = False) -> None:
    """replaced: what was wrong with the request may have been the address, which is another now."""
    try:
        sent = case.call(base_url=str(http.base_url).rstrip("/"), session=session)
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeEncodeError):
        return  # no client could send it
    excluded = [checks.positive_data_acceptance] if is_refused_for_its_meaning(sent, case.operation.label) else []
    excluded += [checks.negative_data_rejection] if replaced or is_deeper_than_described(case.body) else []
    case.validate_response(sent, excluded_checks=excluded)
    if sent.status_code >= 400:
        [kind] = sent.headers["content-type"]
        refusal(httpx.Response(sent.status_code, headers={"content-type": kind}, content=sent.content))


def is_deeper_than_described(body: object) -> bool:
    """A value of a parameter may have more levels than the two that the description tells of: with all four, made-up
    requests took minutes."""
    return _levels(body) > 4


def _levels(body: object) -> int:
    inside = body.values() if isinstance(body, dict) else body if isinstance(body, list) else None
    return 0 if inside is None else 1 + max(map(_levels, inside), default=0)


def is_refused_for_its_meaning(sent: Response, operation: str) -> bool:
    """What a schema cannot say, such as that low is less than high, some operations refuse in a sentence of their own,
    or with 412 what was steered meanwhile. Integers beyond 2^53 are rounded when they are made up."""
    if sent.status_code != 422:
        return sent.status_code == 412
    detail = sent.json()["detail"]
    is_their_sentence = not detail.startswith("The request is not valid") or "1970-01-01T00:00:00Z" in detail
    return (is_their_sentence and operation in HAVE_A_MEANING) or str(2**63 - 1) in detail
