"""The poll for work, at the end of its worker."""

from __future__ import annotations

import threading

import pytest
import structlog
from structlog.testing import CapturingLogger

from sturgeon import Client
from sturgeon.errors import ServerUnreachable
from tests.processes import DEADLINE_S
from worker.heartbeat import Heartbeat
from worker.patience import insist
from worker.polling import Poll

pytestmark = pytest.mark.fault("N")


def failed(*_: object) -> None:
    raise AssertionError("neither a refusal nor a fault")


def test_a_worker_that_has_ended_complains_of_no_server() -> None:
    """Its client is closed while the poll, the heartbeat or a call of a trial goes on for a moment."""
    client, draining, said = Client("http://127.0.0.1:1", patience_s=0), threading.Event(), CapturingLogger()
    log = structlog.wrap_logger(said)
    poll = Poll(client, "wilma", 2, 1, 0.0, draining, log, lambda: None, failed, failed, failed)
    poll.start()
    client.close()
    poll.want(1)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "poll"]
    thread.join(DEADLINE_S)

    Heartbeat(client, "wilma", lambda: (), log, on_drain=failed, on_refusal=failed, on_failure=failed).beat()
    with pytest.raises(InterruptedError):
        insist(client.health, _interrupt, log)

    assert not thread.is_alive()
    assert said.calls == []


def _interrupt(_seconds: float) -> None:
    raise InterruptedError


def test_a_closed_client_is_unreachable() -> None:
    client = Client("http://127.0.0.1:1")
    client.close()
    with pytest.raises(ServerUnreachable, match="is closed"):
        client.health()
