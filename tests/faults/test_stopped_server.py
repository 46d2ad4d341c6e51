"""SIGTERM while streams and polls are open: the server ends soon, and who followed a stream misses nothing."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from sturgeon.client import Client
from sturgeon.client.requests import lines_of
from sturgeon.client.rows import events_of
from sturgeon.messages import StreamEvent
from tests.processes import DEADLINE_S, ServerProcess, wait_until
from tests.server.studies import BOWL, FROM_NO_PAGE, refusal

ROOT = Path(__file__).parents[2]
ASK = "/v1/studies/bowl/trials:ask"
STREAM = "/v1/studies/bowl/stream"
MOST_S = 20
"""Twice the ten seconds that are promised, since a machine that runs tests is busy."""


@contextmanager
def open_stream(server: ServerProcess, last: str | None = None) -> Iterator[Iterator[StreamEvent]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with (
        httpx.Client(base_url=server.url, timeout=DEADLINE_S, trust_env=False, verify=False) as http,
        http.stream("GET", STREAM, headers=headers) as answer,
    ):
        yield events_of(lines_of(answer.iter_text()))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_server_with_open_streams_and_polls_ends_and_nobody_misses_anything(
    kind: str, server_process: Callable[..., ServerProcess], request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(STURGEON_DATABASE_URL=url)
    with (
        ExitStack() as stack,
        Client(server.url, patience_s=DEADLINE_S) as client,
        ThreadPoolExecutor() as threads,
    ):
        client.create_study(BOWL)
        streams = [stack.enter_context(open_stream(server)) for _ in range(5)]
        seen = [next(event.cursor for event in events if event.cursor is not None) for events in streams]
        polls = [threads.submit(client.lease, f"worker-{number}", wait=30) for number in range(5)]
        wait_until(lambda: len(client.workers().items) == len(polls), "all polls were open")
        [lease] = client.ask("bowl", worker="ada", lease_s=600).leases
        client.tell("bowl", lease.number, lease.fence, {"loss": 0.25})  # of which the streams' readers read nothing

        began = time.monotonic()
        assert server.stop() in (0, -signal.SIGTERM)
        took_s = time.monotonic() - began
        assert took_s < MOST_S
        server.start()

        assert [poll.result(timeout=DEADLINE_S).leases for poll in polls] == [[]] * len(polls)
        with open_stream(server, seen[0]) as events:
            rows = next(event.data for event in events if event.event == "rows")
        assert [(row["number"], row["state"]) for row in rows["rows"]] == [(0, "complete")]
        assert client.trial("bowl", 0).value == 0.25


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.expects_errors('"status": 503')
@pytest.mark.tolerates_errors("timeout graceful shutdown exceeded")
def test_what_a_stopping_server_cannot_finish_is_to_be_sent_again(
    kind: str, server_process: Callable[..., ServerProcess], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    failpoint, key = tmp_path / "failpoint", {"Idempotency-Key": "a-key"}
    server = server_process(
        program=(sys.executable, "-m", "tests.faults.failpoints"),
        PYTHONPATH=str(ROOT),
        FAILPOINT=str(failpoint),
        STURGEON_DATABASE_URL=request.getfixturevalue(f"migrated_{kind}_url"),
        STURGEON_REAP_EVERY_S="600",
    )
    with (
        httpx.Client(base_url=server.url, trust_env=False, headers=FROM_NO_PAGE, timeout=DEADLINE_S) as http,
        ThreadPoolExecutor() as threads,
    ):
        assert http.post("/v1/studies", json=BOWL).status_code == 201
        failpoint.write_text("hold commit")
        asked = threads.submit(http.post, ASK, json={"worker": "ada"}, headers=key)
        wait_until(lambda: failpoint.read_text() == "held", "it stood before its commit")

        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < MOST_S, "it waits for no thread that hangs"

        answer = asked.result(timeout=DEADLINE_S)
        assert refusal(answer) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        failpoint.unlink()
        server.start()
        again, once_more = (http.post(ASK, json={"worker": "ada"}, headers=key) for _ in range(2))
        assert (again.status_code, once_more.json()) == (200, again.json())
        assert [trial["number"] for trial in http.get("/v1/studies/bowl/trials").json()["items"]] == [0]
