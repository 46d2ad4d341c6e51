"""Requests that schemathesis makes up from the server's own description, with all of its checks as they are: what the
description allows is taken or is a conflict, what it forbids is refused, and every refusal is a problem.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from schemathesis import Case
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.hypothesis import builder
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import APIOperation, wrap_test_function
from schemathesis.specs.openapi import checks

from tests.server.description import openapi
from tests.server.studies import refusal

Both = tuple[httpx.Client, httpx.Client]
EXISTING = {"study": "bowl", "number": 0, "step": 1, "worker": "ada"}

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
    first, second = both_kinds[:: 1 if crc32(str(case.body).encode(errors="replace")) % 2 else -1]
    check(case, first, session)
    if case.method != "DELETE" and case.path_parameters:
        # The same once more for what is there, on the other database: what is refused depends on neither.
        case.path_parameters.update({name: EXISTING[name] for name in case.path_parameters if name in EXISTING})
        check(case, second, session, replaced=True)


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
    excluded = [checks.negative_data_rejection] if replaced else []
    case.validate_response(sent, excluded_checks=excluded)
    if sent.status_code >= 400:
        [kind] = sent.headers["content-type"]
        refusal(httpx.Response(sent.status_code, headers={"content-type": kind}, content=sent.content))
