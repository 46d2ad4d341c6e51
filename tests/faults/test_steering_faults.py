"""Worker, server, both or the connection fail in the middle of each steering verb: it is applied once, the timeline
tells it, and the weights are those of an undisturbed run with the same timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sturgeon.cli.replaying import replayed
from sturgeon.client import Client
from sturgeon.messages import Steered, TimelineEntry
from tests.faults.network_cut import Cable
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from tests.worker.paced import paced

PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.003, "keep_prob": 0.8},
    "budget": {"max_trials": 10},
    "task": {
        "kind": "train",
        "dataset": "iris",
        "epochs": 100_000,
        "fixed": {"hidden_units": 16, "hidden_layers": 2, "batch_size": 64},
        "checkpoints": {"best": 1, "last": 2, "every_s": 1},
    },
}
STEP_S = 0.1
Verb = Callable[[Client], Any]


class House:
    """A server and a worker with a panda, which a test breaks and mends."""

    def __init__(self, server: ServerProcess, start_worker: Callable[..., WorkerProcess]) -> None:
        self.server, self._start_worker = server, start_worker
        self.cable = Cable(server.port)
        self.client = Client(server.url, patience_s=DEADLINE_S)
        self.worker, self._next = self._new_worker(), self._new_worker()

    def _new_worker(self) -> WorkerProcess:
        return self._start_worker(self.cable.url, name=None, **paced(STEP_S))

    def in_the_middle_of(self, verb: Verb, fault: str) -> Any:
        """Ask for it while the fault happens; the client asks until it is answered."""
        with ThreadPoolExecutor() as threads:
            asked = threads.submit(verb, self.client)
            if fault == "connection":
                self.cable.cut()
            if fault in ("worker", "both"):
                self._kill_who_trains()
            if fault in ("server", "both"):
                self.server.restart()
            answer = asked.result(timeout=DEADLINE_S)
        if fault in ("worker", "both"):  # another one is there already, and takes the trial when its lease runs out
            self.worker, self._next = self._next, self._new_worker()
        self.cable.mend()
        return answer

    def _kill_who_trains(self) -> None:
        if self.client.trial("bear", 0).worker == self._next.name:
            self.worker, self._next = self._next, self.worker
        self.worker.kill()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        self.worker.wait_until(reached, what)

    def entries(self, number: int = 0) -> list[TimelineEntry]:
        return self.client.timeline("bear", number).items

    def settled(self, version: int) -> bool:
        return self.entries()[version - 1].state != "pending"

    def checkpoints(self) -> list[int]:
        return [one.step for one in self.client.checkpoints("bear", 0).items]

    def story(self) -> str:
        """All that the server knows of the trial, for a failure that may not come again."""
        checkpoints = self.client.checkpoints("bear", 0).items
        return "\n".join(map(str, [self.client.trial("bear", 0), *self.entries(), *checkpoints]))

    def close(self) -> None:
        self.cable.close()
        self.client.close()


@pytest.fixture
def house(
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    request: pytest.FixtureRequest,
) -> Iterator[House]:
    env = {"STURGEON_LEASE_S": "1", "STURGEON_REAP_EVERY_S": "0.2"}
    if request.param == "postgres":
        env["STURGEON_DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
    server = server_process(**env)
    house = House(server, worker_process)
    yield house
    house.close()


@pytest.mark.tolerates_errors(
    "has gone back to step .*checkpoint refused"
)  # it was on its way when the trial went back
@pytest.mark.parametrize(
    ("house", "fault"),
    [
        ("sqlite", "worker"),
        ("sqlite", "server"),
        ("postgres", "both"),
        ("sqlite", "connection"),
    ],
    indirect=["house"],
)
def test_each_verb_is_applied_once_whatever_fails_in_its_middle(house: House, fault: str) -> None:
    house.client.create_study(PANDA)
    house.until(lambda: bool(house.checkpoints()), "a checkpoint was uploaded")

    changed: Steered = house.in_the_middle_of(lambda c: c.set_params("bear", 0, {"learning_rate": 0.001}), fault)
    assert changed.desired.version == 1
    house.until(lambda: house.settled(1), "the change was applied")
    house.in_the_middle_of(lambda c: c.keep_checkpoint("bear", 0), fault)
    house.until(lambda: house.settled(2) and house.entries()[1].checkpoint in house.checkpoints(), "it was kept")
    kept = house.entries()[1].checkpoint
    assert kept is not None
    house.client.set_params("bear", 0, {"l2": 0.1})
    house.until(lambda: house.settled(3), "another change was applied")
    house.in_the_middle_of(lambda c: c.rollback("bear", 0, step=kept, params={"keep_prob": 0.9}), fault)
    house.until(lambda: house.settled(4), "it went back")
    branches = house.in_the_middle_of(lambda c: c.fork("bear", 0, [{"l2": 0.2}], step=kept, control=False), fault)
    assert [one.number for one in branches] == [1]
    house.client.cancel("bear", 1)
    promoted = house.in_the_middle_of(lambda c: c.promote("bear", 0, {"l2": 0.3}, step=kept), fault)
    assert (promoted.number, promoted.parent.number, promoted.parent.step) == (2, 0, kept)
    house.client.cancel("bear", 2)
    house.in_the_middle_of(lambda c: c.pause("bear", 0), fault)
    house.until(lambda: house.client.trial("bear", 0).state == "paused", "it was paused")
    house.in_the_middle_of(lambda c: c.resume("bear", 0), fault)
    house.until(lambda: house.settled(6), "it was resumed")
    house.in_the_middle_of(lambda c: c.stop("bear", 0), fault)
    house.until(lambda: house.client.trial("bear", 0).state == "complete", "it stopped")

    told = house.entries()
    story = house.story()
    assert [(one.version, one.verb) for one in told] == [
        (1, "params"),
        (2, "checkpoint"),
        (3, "params"),
        (4, "rollback"),
        (5, "pause"),
        (6, "resume"),
        (7, "stop"),
    ]
    assert [one.state for one in told[:4]] == ["applied", "applied", "reverted", "applied"]
    assert told[3].from_step == told[3].restore == kept
    steps = [one.step for one in house.client.timeline("bear", 0).schedule]
    assert steps == sorted(steps), story
    trial = house.client.trial("bear", 0)
    assert {name: trial.params[name] for name in ("learning_rate", "keep_prob")} == {
        "learning_rate": 0.001,
        "keep_prob": 0.9,
    }
    assert len(house.client.trials("bear").items) == 3
    replays = list(replayed(house.client, "bear", 0))
    assert replays, story
    assert all(compared.exact for compared in replays), story
