"""Long polls: a worker that waits is answered when there is work, and costs no thread meanwhile."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from server.settings import Settings
from tests.processes import DEADLINE_S, wait_until
from tests.server.studies import DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def server(fresh_server: RunningServer) -> RunningServer:
    """A server whose waiters a test may let go; they wait as long as they said."""
    lets_wait(fresh_server, 30)
    return fresh_server


def lets_wait(server: RunningServer, seconds: float) -> None:
    server.app.state.settings = server.app.state.settings.model_copy(update={"longest_wait_s": seconds})


@pytest.fixture
def paused(server: RunningServer) -> None:
    """A study with work for workers, paused."""
    server.client.create_study(DIGITS)
    server.client.patch_study("digits", {"state": "paused"})


def until_they_wait(server: RunningServer, waiters: int = 1) -> None:
    wait_until(
        lambda: len(server.client.workers().items) >= waiters and server.app.state.long_polls.anybody(), "they waited"
    )


def test_without_work_a_worker_waits_as_long_as_it_said(server: RunningServer) -> None:
    began = time.monotonic()

    answer = server.client.lease("ada", wait=1.0)

    assert (answer.leases, answer.reason) == ([], "waiting")
    assert 1.0 <= time.monotonic() - began < 5


@pytest.mark.fault("L10")
def test_no_worker_waits_longer_than_its_server_lets_it(server: RunningServer) -> None:
    assert Settings().longest_wait_s < 10  # the time-out of many clients and proxies
    lets_wait(server, 0.5)
    began = time.monotonic()

    answer = server.client.lease("ada", wait=30)

    assert (answer.leases, answer.reason) == ([], "waiting")
    assert 0.5 <= time.monotonic() - began < 20


@pytest.mark.usefixtures("paused")
def test_a_waiting_worker_gets_work_when_it_comes(server: RunningServer) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(server.client.lease, "ada", slots=2, wait=30)
        until_they_wait(server)
        server.client.patch_study("digits", {"state": "active"})
        began = time.monotonic()

        assert [lease.number for lease in waiting.result(timeout=DEADLINE_S).leases] == [0, 1]

    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("paused")
def test_who_gets_nothing_of_the_work_that_came_waits_on(server: RunningServer) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(server.client.lease, f"worker{i}", wait=30) for i in range(3)]
        until_they_wait(server)
        server.client.patch_study("digits", {"state": "active", "budget": {"max_trials": 2}})
        first, second = islice(as_completed(waiting, timeout=DEADLINE_S), 2)
        assert sorted(lease.number for one in (first, second) for lease in one.result().leases) == [0, 1]

        server.app.state.long_polls.end()

        [third] = set(waiting) - {first, second}
        assert third.result(timeout=DEADLINE_S).leases == []


@pytest.mark.usefixtures("paused")
def test_more_may_wait_than_the_server_has_threads(server: RunningServer) -> None:
    assert server.settings.threads < 50
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(server.client.lease, f"worker{i}", wait=30) for i in range(50)]
        until_they_wait(server, 50)

        assert server.client.study("digits").state == "paused"

        assert not any(one.done() for one in waiting)
        server.app.state.long_polls.end()
        assert [one.result(timeout=DEADLINE_S).leases for one in waiting] == [[]] * 50


@pytest.mark.usefixtures("paused")
def test_who_has_gone_is_given_nothing(server: RunningServer) -> None:
    address = urlsplit(server.url)
    body = b'{"worker": "gone", "wait": 30}'
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    head = f"POST /v1/leases HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(head.encode() + body)
        until_they_wait(server)

    server.client.patch_study("digits", {"state": "active"})

    wait_until(lambda: not server.app.state.long_polls.anybody(), "nobody waited")
    assert server.client.study("digits").counts == {}
    assert [lease.number for lease in server.client.lease("ada").leases] == [0]
