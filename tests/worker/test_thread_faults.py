"""A thread of the worker fails: that is noticed, and neither leases are renewed for ever nor is a worker left that
takes no work. The faults are raised below the client, where nobody expects them."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from sturgeon.errors import SturgeonError
from sturgeon.threads import failures
from tests.worker.scripted import Running, ScriptedServer, epoch, lease
from worker import heartbeat
from worker.child import process
from worker.child.process import CannotStart, Child
from worker.child.protocol import Finished, Job, SavedCheckpoint
from worker.daemon import Daemon
from worker.options import WorkerOptions

QUICK = {"kind": "train", "dataset": "iris", "epochs": 3, "checkpoints": None}
FAULT = LookupError("no such thing")
Started = Callable[[ScriptedServer], Future[int]]


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    process.start_fork_server()


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def started(log: CapturingLogger) -> Iterator[Started]:
    """Runs a worker for a scripted server; what it comes to."""
    daemons: list[Daemon] = []
    with ThreadPoolExecutor() as threads:

        def start(server: ScriptedServer) -> Future[int]:
            options = WorkerOptions("http://server.test", poll_s=0)
            wrapped: Any = structlog.wrap_logger(log, processors=[])
            daemons.append(Daemon(server.client(), options, "w", wrapped))
            return threads.submit(daemons[-1].run)

        yield start
        for daemon in daemons:
            for _ in range(2):
                daemon.signalled(signal.SIGTERM, None)


def logged(log: CapturingLogger, event: str) -> list[dict[str, Any]]:
    return [call.kwargs for call in log.calls if call.kwargs.get("event") == event]


@pytest.mark.parametrize(("thread", "at"), [("heartbeat", "renew"), ("poll for work", "leases")])
def test_a_thread_of_the_worker_that_fails_ends_the_worker_with_the_reason(
    thread: str, at: str, started: Started, log: CapturingLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "IDLE_LEASE_S", 0.03)

    end = started(ScriptedServer(faults={at: [FAULT]})).exception(timeout=120)

    assert isinstance(end, SturgeonError)
    assert end.message == f"The worker ended because its {thread} failed: LookupError: no such thing"
    name = thread.split()[0]
    [failed] = logged(log, "thread failed")
    assert (failed["thread"], failed["failures"]) == (name, failures()[name])
    assert logged(log, "worker ended")[0]["thread_failures"][name] >= 1


def test_a_worker_whose_heartbeat_fails_gives_its_trials_back(started: Started) -> None:
    """Nobody renews their leases any more."""
    server = ScriptedServer(leases=[lease(0.3, QUICK | {"epochs": 1_000_000})])
    end = started(server)
    while server.arrived.get(timeout=120) != "report":
        pass

    server.faults["renew"] = [FAULT]

    assert isinstance(end.exception(timeout=120), SturgeonError)
    assert server.named("release") == [{"fence": 2}]


def test_a_trial_whose_process_cannot_be_started_is_given_back_and_the_worker_ends(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(process._context, "Pipe", refuse)
    server = ScriptedServer(leases=[lease(task=QUICK)])

    end = started(server).exception(timeout=120)

    assert isinstance(end, SturgeonError)
    assert end.message == "The worker cannot start child processes: OSError: [Errno 24] Too many open files."
    assert server.named("release") == [{"fence": 2}]
    assert server.named("tell") == []


def test_a_refused_process_leaves_no_open_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EOFError

    monkeypatch.setattr(forkserver, "connect_to_new_process", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(CannotStart, match="cannot start child processes: EOFError"):
        Child([Job(QUICK, {}, 0)])

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_fork_server_that_is_gone_is_started_again() -> None:
    server: Any = forkserver._forkserver
    gone = server._forkserver_pid
    os.kill(gone, signal.SIGKILL)
    os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)

    *_, (_, end) = Child([Job(QUICK, {}, 0)]).messages()

    assert isinstance(end, Finished)
    assert (end.state, end.error) == ("complete", None)
    assert server._forkserver_pid != gone


@pytest.mark.parametrize("at", ["report", "checkpoints", "diagnosis"])
def test_a_thread_of_a_trial_that_fails_fails_the_trial_and_not_the_worker(at: str) -> None:
    with Running() as running:
        running.trial.start()
        running.server.faults = {at: [FAULT]}
        end = Finished(
            "complete", 10, {}, checkpoints=(SavedCheckpoint(10, 1, 0.1, b"npz"),), findings={"diagnosis": {}}
        )

        running.say(epoch(1), end)

        assert running.until_ended() is None
        [told] = running.server.named("tell")
        sentence = "The worker failed while it ran this trial: LookupError: no such thing"
        assert (told["state"], told["error"]) == ("failed", sentence)
        assert running.child.killed.is_set()
        assert len(logged(running.log, "thread failed")) == 1


def test_a_rollback_whose_fetching_fails_fails_the_trial() -> None:
    with Running() as running:
        running.trial.start()
        running.server.faults = {"checkpoints": [FAULT]}
        running.server.desired = {"version": 1, "leg": 1, "restore": 20}

        running.say(epoch(3))

        assert running.until_ended() is None
        [told] = running.server.named("tell")
        assert told["error"] == "The worker failed while it ran this trial: LookupError: no such thing"


def test_a_trial_that_cannot_even_be_told_to_have_failed_ends() -> None:
    with Running() as running:
        running.trial.start()
        running.server.faults = {"report": [FAULT], "tell": [FAULT]}

        running.say(epoch(1))

        assert running.until_ended() is None
        assert running.child.killed.is_set()
        assert len(logged(running.log, "trial not told, its lease will run out")) == 1
