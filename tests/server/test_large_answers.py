"""What grows with what is stored is written as JSON where nobody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from server.routes import bodies
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
    writers: list[str] = []
    written = bodies._json

    def noted(answer: object) -> str | bytes:
        writers.append(threading.current_thread().name)
        return written(answer)

    monkeypatch.setattr(bodies, "_json", noted)
    for path in PATHS:
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), path
        assert answer.json(), path

    assert len(writers) == len(PATHS)
    assert "uvicorn" not in writers  # the thread of the event loop
