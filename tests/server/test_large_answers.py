"""What grows with what is stored is written as JSON where nobody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import routing

from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

TRIAL = "/v1/studies/bowl/trials/0"
PATHS = (
    "/v1/studies",
    "/v1/studies/bowl",
    "/v1/studies/bowl/trials",
    "/v1/studies/bowl/best",
    "/v1/studies/bowl/events",
    "/v1/studies/bowl/revisions",
    "/v1/studies/bowl/rounds",
    "/v1/studies/bowl/replay",
    "/v1/studies/bowl/late-results",
    "/v1/workers",
    f"{TRIAL}/metrics",
    f"{TRIAL}/timeline",
    f"{TRIAL}/proposals",
    f"{TRIAL}/checkpoints",
    f"{TRIAL}/errors",
)


@pytest.fixture
def reported_trial(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    [lease] = server.client.ask("bowl").leases
    server.client.report("bowl", 0, lease.fence, [{"step": step, "metrics": {"loss": 1.0}} for step in range(50)])
    server.client.put_finding("bowl", 0, "errors", lease.fence, {"confusion": [[1, 2], [3, 4]]})


@pytest.mark.fault("L1")
@pytest.mark.usefixtures("reported_trial")
def test_answers_that_grow_are_not_written_in_the_event_loop(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_loop: list[Any] = []
    serialize = routing.serialize_response

    async def noted(**given: Any) -> Any:
        in_the_loop.append((threading.current_thread().name, given["field"]))
        return await serialize(**given)

    monkeypatch.setattr(routing, "serialize_response", noted)
    for path in PATHS:
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), path
        assert answer.json(), path
    assert in_the_loop == []
    assert http.get(TRIAL).headers["ETag"]  # of one trial, whose headers FastAPI writes
    assert len(in_the_loop) == 1
