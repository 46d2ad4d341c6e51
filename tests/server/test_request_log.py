"""The line of a request in a server's log, and what other lines say of the request that they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs
from structlog.typing import EventDict

from server import gate
from server.gate import RequestLog
from server.request_context import MESSAGE, add_request
from server.services.metrics import Counters
from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import NotFound
from sturgeon.messages import LeaseRequest
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

SHARED = "sesame-open"


@pytest.fixture
def told() -> Iterator[list[EventDict]]:
    """The lines that are logged, from here on: a server that starts sets up the log."""
    with capture_logs(processors=[add_request]) as lines:
        yield lines


@pytest.fixture
def talkative_server(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> RunningServer:
    """A server with a token that logs each request."""
    kept = {"database_url": migrated_sqlite_url, "checkpoints": tmp_path / "checkpoints"}
    return serve(Settings(**kept, token=SecretStr(SHARED), request_log=True))  # type: ignore[arg-type]


def test_the_line_of_a_request_says_who_asked_and_what_it_is_about(
    talkative_server: RunningServer, told: list[EventDict]
) -> None:
    client = talkative_server.client
    client.create_study(BOWL)
    secret = client.create_token("wanda", scopes=["work"]).token
    told.clear()
    with Client(talkative_server.url, secret) as named:
        [lease] = named.ask("bowl", worker="ada").leases
        named.tell("bowl", lease.number, lease.fence, {"loss": 0.5})
    with pytest.raises(NotFound):
        client.trial("bowl", 77)
    client.ready()  # the line of a request comes right after its answer, and before the next is read

    ask, tell, missing, _ = (line for line in told if line["event"] == "request")
    assert (ask["method"], ask["route"], ask["status"]) == ("POST", "/studies/{study}/trials:ask", 200)
    assert (ask["actor"], ask["study"], ask["worker"]) == ("wanda", "bowl", "ada")
    assert (tell["actor"], tell["study"], tell["trial"], tell["fence"]) == ("wanda", "bowl", 0, lease.fence)
    assert (missing["path"], missing["status"], missing["trial"]) == ("/v1/studies/bowl/trials/77", 404, 77)
    assert missing["actor"] == "shared"
    assert all(line["bytes"] > 0 and line["ms"] > 0 for line in (ask, tell, missing))
    assert len({line["request_id"] for line in (ask, tell, missing)}) == 3
    assert SHARED not in str(told)
    assert secret not in str(told)


def test_a_line_that_a_request_brings_about_names_the_request(server: RunningServer, told: list[EventDict]) -> None:
    server.client.create_study(BOWL)
    database, threads = server.app.state.database, []

    def committed(_studies: object) -> None:
        threads.append(structlog.get_logger().info("committed"))

    database.on_commit(committed)
    try:
        [lease] = server.client.ask("bowl", worker="ada").leases
        server.client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    finally:
        database._listeners.remove(committed)

    ask, report = (line for line in told if line["event"] == "committed")
    assert {name: ask.get(name) for name in ("study", "worker")} == {"study": "bowl", "worker": "ada"}
    assert (report["study"], report["trial"], report["fence"]) == ("bowl", 0, lease.fence)
    assert len({ask["request_id"], report["request_id"]}) == 2


def test_by_default_no_line_is_written_of_a_request_that_goes_well(
    server: RunningServer, told: list[EventDict]
) -> None:
    server.client.create_study(BOWL)
    with pytest.raises(NotFound):
        server.client.study("none")
    server.client.ready()

    assert [line for line in told if line["event"] == "request"] == []


def logged(seconds: float, monkeypatch: pytest.MonkeyPatch, **scope: object) -> bool:
    """Whether a request that takes so long is logged."""
    times = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr(gate.time, "perf_counter", lambda: next(times))

    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ignored(_message: object) -> None:
        pass

    asked = {"type": "http", "method": "POST", "path": "/v1/leases"} | scope
    with capture_logs() as lines:
        asyncio.run(RequestLog(app, Counters())(asked, ignored, ignored))  # type: ignore[arg-type]
    return bool(lines)


def test_a_request_that_takes_long_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not logged(0.9, monkeypatch)
    assert logged(1.1, monkeypatch)


def test_a_request_that_waits_for_work_does_not_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = LeaseRequest(worker="ada", slots=1, wait=8.0)

    assert not logged(8.9, monkeypatch, **{MESSAGE: waits})
    assert logged(9.1, monkeypatch, **{MESSAGE: waits})


def test_an_address_that_a_client_makes_up_is_cut_in_the_log(
    talkative_server: RunningServer, told: list[EventDict]
) -> None:
    client = talkative_server.client
    told.clear()
    with pytest.raises(NotFound):
        client._wire.send("GET", f"/v1/studies/{'x' * 5000}/nowhere")
    client.ready()

    line, _ = told
    assert (len(line["path"]), len(line["study"]), line["route"]) == (300, 300, "none")
