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
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.hypothesis import builder
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import APIOperation, wrap_test_function
from schemathesis.specs.openapi import checks

from tests.processes import DEADLINE_S
from tests.server.description import openapi
from tests.server.studies import refusal

Both = tuple[httpx.Client, httpx.Client]
EXISTING = {"study": "bowl", "number": 0, "step": 1, "worker": "ada"}

schema = schemathesis.openapi.from_dict(openapi())
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in schema.get_all_operations())}
ANY_ADDRESS_OF = 8
"""Of so many bodies that are wrong or right in one place each, one goes to a made-up address, too: there is nothing,
whatever the body is. All of them go to what exists; `make test-long` sends all of them to both."""
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
    make_up(both_kinds, session, operation, ANY_ADDRESS_OF)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_body_is_refused_or_answered_at_a_made_up_address_too(
    both_kinds: Both, session: requests.Session, operation: str
) -> None:
    make_up(both_kinds, session, operation, 1)


def make_up(both_kinds: Both, session: requests.Session, operation: str, any_address_of: int) -> None:
    made_up = of_operation(OPERATIONS[operation])
    try:
        made_up(both_kinds=both_kinds, session=session, any_address_of=any_address_of)
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
def is_answered_or_refused(both_kinds: Both, session: requests.Session, any_address_of: int, case: Case) -> None:
    wait_for_nothing(case)
    number = crc32(str(case.body).encode(errors="replace"))
    first, second = both_kinds[:: 1 if number % 2 else -1]
    is_of_the_body = is_about_the_body(case)
    if case.method == "DELETE" or not case.path_parameters:
        check(case, first, session)
        return
    if not is_of_the_body or number // 2 % any_address_of == 0:
        check(case, first, session)
    # The same once more for what is there, on the other database: what is refused depends on neither.
    case.path_parameters.update({name: EXISTING[name] for name in case.path_parameters if name in EXISTING})
    check(case, second, session, replaced=not is_of_the_body)


def is_about_the_body(case: Case) -> bool:
    """Whether it is one of the hundreds that cover each constraint of the body in turn, and are alike in all else."""
    assert case.meta is not None
    return getattr(case.meta.phase.data, "parameter_location", None) is ParameterLocation.BODY


def wait_for_nothing(case: Case) -> None:
    body: Any = case.body
    if isinstance(body, dict) and isinstance(body.get("wait"), int | float) and 0 < body["wait"] <= 30:
        body["wait"] = 0


def check(case: Case, http: httpx.Client, session: requests.Session, *, replaced: bool = False) -> None:
    """replaced: what was wrong with the request may have been the address, which is another now."""
    try:  # schemathesis itself would wait for 10 s, which are soon over on a busy machine
        sent = case.call(base_url=str(http.base_url).rstrip("/"), session=session, timeout=DEADLINE_S)
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeEncodeError):
        return  # no client could send it
    excluded = [checks.negative_data_rejection] if replaced else []
    case.validate_response(sent, excluded_checks=excluded)
    if sent.status_code >= 400:
        [kind] = sent.headers["content-type"]
        refusal(httpx.Response(sent.status_code, headers={"content-type": kind}, content=sent.content))
