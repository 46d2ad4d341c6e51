"""Requests that are as described go straight to their route; FastAPI answers all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.app import create_app
from server.routes.direct import Direct
from server.settings import Settings
from sturgeon.messages import Lease
from tests.server.description import openapi

if TYPE_CHECKING:
    from tests.running import RunningServer

NAMES = ("study", "worker", "kind", "webhook", "token")
NUMBERS = ("number", "step", "proposal")
EXAMPLES = dict(zip(NAMES, NAMES, strict=True)) | dict.fromkeys(NUMBERS, "7")


@pytest.fixture(scope="module")
def direct() -> Direct:
    """What stands before FastAPI's layers. Nothing is opened."""
    stands_there = create_app(Settings(database_url="sqlite:///unused.db")).state.direct
    assert isinstance(stands_there, Direct)
    return stands_there


def described() -> Iterator[tuple[str, str, str]]:
    """Method, an address, and the name of its route."""
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.format(**EXAMPLES), operation["operationId"]


def test_each_address_leads_to_the_route_that_describes_it(direct: Direct) -> None:
    found = [(method, path, direct.found(method, path)) for method, path, _ in described()]

    named = [(method, path, one and one[0].name) for method, path, one in found]
    assert named == list(described())
    assert len(named) > 60


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/studies/s/trials/7:tell"), ("POST", "/v1/studies/s/trials/7"), ("GET", "/v1/studies/"), ("GET", "/")],
)
def test_an_address_of_no_route_leads_to_fastapi(direct: Direct, method: str, path: str) -> None:
    assert direct.found(method, path) is None


def test_asks_reports_and_tells_go_straight_and_what_does_not_fit_to_fastapi(
    server: RunningServer, http: httpx.Client, leased_trial: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = server.app.state.direct
    to_fastapi: list[str] = []
    otherwise = direct._otherwise

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        to_fastapi.append(scope["path"])
        await otherwise(scope, receive, send)

    monkeypatch.setattr(direct, "_otherwise", noting)
    client, number, fence = server.client, leased_trial.number, leased_trial.fence

    client.report("bowl", number, fence, [{"step": 1, "metrics": {"loss": 0.5}}])
    client.renew("ada", [{"study": "bowl", "number": number, "fence": fence}])
    client.tell("bowl", number, fence, {"loss": 0.25})
    client.ask("bowl", worker="ada")
    client.lease("ada")
    assert client.trial("bowl", number).value == 0.25
    assert http.get("/healthz").json() == {"status": "ok"}
    assert to_fastapi == []

    trial = f"/v1/studies/bowl/trials/{number}"
    assert http.post(f"{trial}:tell", json={"fence": 0}).status_code == 422
    assert http.get("/v1/studies/-bowl/trials/0").status_code == 422
    assert http.post(f"{trial}:report", json={"fence": fence, "reports": []}, headers={"Accept": "*/*"}).is_error
    assert http.get("/v1/studies/none").status_code == 404  # its layers answer what a route raises
    assert to_fastapi == [f"{trial}:tell", "/v1/studies/-bowl/trials/0", f"{trial}:report", "/v1/studies/none"]


def test_a_body_that_is_no_utf8_is_read_by_fastapi(http: httpx.Client, leased_trial: Lease) -> None:
    body = f'{{"fence": {leased_trial.fence}, "metrics": {{"loss": 0.5}}}}'.encode("utf-16")

    answer = http.post(
        f"/v1/studies/bowl/trials/{leased_trial.number}:tell",
        content=body,
        headers={"Content-Type": "application/json"},
    )

    assert answer.json()["value"] == 0.5


@pytest.mark.expects_errors("request failed(.|\n)*made by this", "ASGI application(.|\n)*made by this", "500 answered")
def test_an_error_that_nobody_expects_is_a_problem_with_an_id(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("made by this test")

    monkeypatch.setattr(Direct, "found", broken)  # in front of the layers
    in_front = http.get("/v1/studies")
    monkeypatch.undo()
    monkeypatch.setattr("server.services.studies.lifecycle.read", broken)
    of_a_route = http.get("/v1/studies/bowl")
    httpx.get(http.base_url.join("/healthz"))  # which is answered when all of that is logged

    for answer in (in_front, of_a_route):
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert answer.headers["x-request-id"]
        assert "made by" not in answer.text
