"""A child that trials share, and the checkpoint that they start from."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from sturgeon import errors
from tests.processes import DEADLINE_S
from tests.worker.scripted import ScriptedServer, epoch
from worker import sources
from worker.pipe import End, Job, Steer
from worker.sharing import SharedChild

DONE = End("complete", step=30)
AWAY = httpx.ConnectError("refused")
TRANSFER = {"start_from": "flowers/7"}


class ScriptedProcess:
    """Stands for a child process with several places."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self.heard: queue.SimpleQueue[tuple[int, Steer]] = queue.SimpleQueue()
        self.says: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
        self.killed = threading.Event()

    def start(self, jobs: Sequence[Job]) -> Any:
        self.jobs.put(list(jobs))
        return self

    def messages(self) -> Iterator[tuple[int, Any]]:
        while (said := self.says.get()) is not None:
            yield said

    def steer(self, place: int, wish: Steer) -> None:
        self.heard.put((place, wish))

    def kill(self) -> None:
        self.killed.set()
        self.says.put(None)


@pytest.fixture
def process() -> Iterator[ScriptedProcess]:
    process = ScriptedProcess()
    yield process
    process.kill()


def shared(process: ScriptedProcess, server: ScriptedServer, places: int = 2, task: Any = None) -> SharedChild:
    jobs = [Job(task or {}, {}, seed) for seed in range(places)]
    return SharedChild(jobs, server.client(), process.start)


def test_each_trial_hears_what_is_said_of_it(process: ScriptedProcess) -> None:
    child = shared(process, ScriptedServer())
    child.start()

    for said in ((1, epoch(1)), (0, epoch(2)), (1, DONE), (0, DONE), None):
        process.says.put(said)

    assert [list(place.messages()) for place in child.places] == [[epoch(2), DONE], [epoch(1), DONE]]


def test_a_trial_that_is_done_with_leaves_its_mates_and_the_last_ends_the_process(process: ScriptedProcess) -> None:
    child = shared(process, ScriptedServer())
    child.start()
    process.jobs.get(timeout=DEADLINE_S)

    child.places[1].kill()
    assert process.heard.get(timeout=DEADLINE_S) == (1, Steer(stop=True, leave=True))
    assert not process.killed.is_set()

    child.places[0].kill()
    assert process.killed.is_set()


def test_trials_get_the_best_checkpoint_of_the_one_they_start_from(process: ScriptedProcess) -> None:
    server = ScriptedServer(faults={"best": [AWAY]})

    shared(process, server, task=TRANSFER).start()

    assert [job.source for job in process.jobs.get(timeout=DEADLINE_S)] == [b"npz", b"npz"]


def test_what_is_desired_before_the_process_has_begun_is_not_lost(process: ScriptedProcess) -> None:
    child = shared(process, ScriptedServer(), task=TRANSFER)
    child.places[1].steer(Steer(version=4))

    child.start()

    assert process.heard.get(timeout=DEADLINE_S) == (1, Steer(version=4))


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
    child = shared(process, server, task=task)

    child.start()

    for place in child.places:
        [end] = place.messages()
        assert isinstance(end, End)
        assert end.state == "failed"
        assert sentence in (end.error or "")
    assert process.jobs.empty()


def test_nobody_waits_for_a_source_that_no_trial_wants_any_more(
    process: ScriptedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "AFTER_A_FAULT_S", 3600.0)
    server = ScriptedServer(faults={"best": [errors.InternalError()] * 10})
    child = shared(process, server, task=TRANSFER)
    child.start()
    assert server.arrived.get(timeout=DEADLINE_S) == "best"

    for place in child.places:
        place.kill()

    assert [list(place.messages()) for place in child.places] == [[], []]
    assert process.jobs.empty()
