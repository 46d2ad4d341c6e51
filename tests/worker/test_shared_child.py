"""A child that trials share, and the checkpoint that they start from."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from structlog.testing import CapturingLogger

from sturgeon import errors
from sturgeon.messages import Resume
from tests.worker.scripted import ScriptedServer, epoch
from worker import patience
from worker.child.process import CannotStart
from worker.child.protocol import BeginningLost, ChildMessage, DesiredRun, Finished, Job, NotStarted
from worker.child.shared import SharedChild

DONE = Finished("complete", step=30)
AWAY = httpx.ConnectError("refused")
TRANSFER = {"start_from": "flowers/7"}


class ScriptedProcess:
    """Stands for a child process with several places."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self.heard: queue.SimpleQueue[tuple[int, DesiredRun]] = queue.SimpleQueue()
        self.says: queue.SimpleQueue[tuple[int, Any] | Exception | None] = queue.SimpleQueue()
        self.killed = threading.Event()
        self.refusal: Exception | None = None

    def start(self, jobs: Sequence[Job]) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.jobs.put(list(jobs))
        return self

    def messages(self) -> Iterator[tuple[int, Any]]:
        while (said := self.says.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said

    def steer(self, place: int, desired_run: DesiredRun) -> None:
        self.heard.put((place, desired_run))

    def kill(self) -> None:
        self.killed.set()
        self.says.put(None)


@pytest.fixture
def process() -> Iterator[ScriptedProcess]:
    process = ScriptedProcess()
    yield process
    process.kill()


class Shared:
    """A child with `places` trials, and what each of them hears."""

    def __init__(
        self,
        process: ScriptedProcess,
        server: ScriptedServer,
        places: int = 2,
        task: Any = None,
        resume: Resume | None = None,
    ) -> None:
        jobs = [Job(task or {}, {}, seed, resume=resume) for seed in range(places)]
        self.child = SharedChild(jobs, server.client(), CapturingLogger(), process.start)
        self._heard: list[queue.SimpleQueue[ChildMessage]] = [queue.SimpleQueue() for _ in jobs]

    def start(self) -> None:
        self.child.start([heard.put for heard in self._heard])

    def next_of(self, place: int) -> ChildMessage:
        return self._heard[place].get(timeout=60)

    def nothing_heard(self) -> bool:
        return all(heard.empty() for heard in self._heard)


def test_each_trial_hears_what_is_said_of_it(process: ScriptedProcess) -> None:
    shared = Shared(process, ScriptedServer())
    shared.start()

    for said in ((1, epoch(1)), (0, epoch(2)), (1, DONE), (0, DONE), None):
        process.says.put(said)

    heard = [[shared.next_of(place) for _ in range(2)] for place in (0, 1)]
    assert heard == [[epoch(2), DONE], [epoch(1), DONE]]


def test_a_trial_that_is_done_with_leaves_its_stack_and_the_last_ends_the_process(process: ScriptedProcess) -> None:
    shared = Shared(process, ScriptedServer())
    shared.start()
    process.jobs.get(timeout=60)

    shared.child.leave(1)
    assert process.heard.get(timeout=60) == (1, DesiredRun(stop=True, leave=True))
    shared.child.steer(1, DesiredRun(version=7))  # too late: it stays left
    assert process.heard.empty()
    assert not process.killed.is_set()

    shared.child.leave(0)
    assert process.killed.is_set()


def test_trials_get_the_best_checkpoint_of_the_one_they_start_from(process: ScriptedProcess) -> None:
    server = ScriptedServer(faults={"best": [AWAY]})

    Shared(process, server, task=TRANSFER).start()

    assert [job.source for job in process.jobs.get(timeout=60)] == [b"npz", b"npz"]


def test_what_is_desired_before_the_process_has_begun_is_not_lost(process: ScriptedProcess) -> None:
    shared = Shared(process, ScriptedServer(), task=TRANSFER)
    shared.child.steer(1, DesiredRun(version=4))

    shared.start()

    assert process.heard.get(timeout=60) == (1, DesiredRun(version=4))


@pytest.mark.parametrize(
    ("task", "refusal", "sentence"),
    [
        (TRANSFER, errors.NotFound("The trial has none."), "There is no checkpoint of flowers/7 to start from: The tr"),
        (TRANSFER, errors.Unauthorized("Wrong token."), "could not be read: Wrong token."),
        ({"start_from": "flowers"}, None, "start_from names a trial as STUDY/NUMBER, for example digits/3; 'flowers'"),
        ({"start_from": "flowers/best"}, None, "start_from names a trial as STUDY/NUMBER"),
    ],
)
def test_a_source_that_is_not_there_fails_the_trials_with_one_sentence(
    process: ScriptedProcess, task: dict[str, Any], refusal: errors.Problem | None, sentence: str
) -> None:
    server = ScriptedServer(faults={"best": [refusal]} if refusal else {})
    shared = Shared(process, server, task=task)

    shared.start()

    for place in (0, 1):
        end = shared.next_of(place)
        assert isinstance(end, Finished)
        assert end.state == "failed"
        assert sentence in (end.error or "")
    assert process.jobs.empty()


def test_nobody_waits_for_a_source_that_no_trial_wants_any_more(
    process: ScriptedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "AFTER_A_FAULT_S", 3600.0)
    server = ScriptedServer(faults={"best": [errors.InternalError()] * 10})
    shared = Shared(process, server, task=TRANSFER)
    before = set(threading.enumerate())
    shared.start()
    [thread] = set(threading.enumerate()) - before
    assert server.arrived.get(timeout=60) == "best"

    for place in (0, 1):
        shared.child.leave(place)

    thread.join(timeout=60)
    assert not thread.is_alive()
    assert shared.nothing_heard()
    assert process.jobs.empty()


def test_trials_whose_process_cannot_be_started_hear_so(process: ScriptedProcess) -> None:
    """Once they heard nothing at all, and their leases were renewed for ever."""
    process.refusal = CannotStart("Too many open files.")
    shared = Shared(process, ScriptedServer())

    shared.start()

    assert [shared.next_of(place) for place in (0, 1)] == [NotStarted("Too many open files.")] * 2


@pytest.mark.parametrize("at", ["start", "message"])
def test_an_unexpected_error_in_the_childs_thread_fails_its_trials(process: ScriptedProcess, at: str) -> None:
    shared = Shared(process, ScriptedServer())
    if at == "start":
        process.refusal = RuntimeError("no such thing")
    else:
        process.says.put((0, epoch(1)))
        process.says.put(RuntimeError("no such thing"))

    shared.start()

    if at == "message":
        assert shared.next_of(0) == epoch(1)
    sentence = "The worker failed while it ran this trial: RuntimeError: no such thing"
    assert [shared.next_of(place) for place in (0, 1)] == [Finished("failed", error=sentence)] * 2
    if at == "message":
        assert process.killed.wait(timeout=60)


@pytest.mark.fault("L3")
def test_trials_whose_own_checkpoint_is_lost_are_no_failures(process: ScriptedProcess) -> None:
    server = ScriptedServer(faults={"checkpoints": [errors.NotFound("Its file is gone or damaged.")]})
    resumed = Resume(number=0, step=40, sha256="0" * 64, version=0, leg=0, timeline=[])
    shared = Shared(process, server, task={}, resume=resumed)

    shared.start()

    for place in (0, 1):
        end = shared.next_of(place)
        assert end == BeginningLost("The checkpoint of trial 0 at step 40 is lost: Its file is gone or damaged.")
    assert process.jobs.empty()
