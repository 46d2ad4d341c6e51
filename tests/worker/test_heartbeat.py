"""The heartbeat."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import CapturingLogger

from sturgeon import errors
from sturgeon import messages as m
from tests.worker.scripted import ScriptedServer, lease
from worker import heartbeat
from worker.heartbeat import Heartbeat


class LeasedTrial:
    """A running trial as the heartbeat sees it."""

    def __init__(self, number: int, lease_s: float = 30.0) -> None:
        self.lease = lease(lease_s).model_copy(update={"number": number})
        self.desired: list[m.Desired] = []
        self.lost: list[str] = []

    def renewal(self) -> m.Held:
        return m.Held(study="s", number=self.lease.number, fence=self.lease.fence)

    def steer(self, desired: m.Desired) -> None:
        self.desired.append(desired)

    def lose(self, reason: str) -> None:
        self.lost.append(reason)


class Beating:
    """A heartbeat with a scripted server; `told` has what it told the daemon."""

    def __init__(self) -> None:
        self.server, self.trials = ScriptedServer(), list[Any]()
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.beats: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.log = CapturingLogger()
        self.heart = Heartbeat(
            self.server.client(),
            "w",
            lambda: tuple(self.trials),
            self.log,
            on_drain=lambda: self.told.put("drain"),
            on_refusal=lambda error: self.told.put(error.message),
            on_failure=lambda error: self.told.put(repr(error)),
            uniform=lambda: 0.5,
            on_beat=lambda: self.beats.put(None),
        )


@pytest.fixture
def beating() -> Iterator[Beating]:
    beating = Beating()
    yield beating
    beating.heart.stop()


def test_all_leases_are_renewed_in_one_call(beating: Beating) -> None:
    beating.trials = [LeasedTrial(3), LeasedTrial(4)]

    beating.heart.beat()

    held = [{"study": "s", "number": 3, "fence": 2}, {"study": "s", "number": 4, "fence": 2}]
    assert beating.server.named("renew") == [{"worker": "w", "held": held}]


def test_a_lost_lease_is_told_to_its_trial_alone(beating: Beating) -> None:
    beating.trials = [LeasedTrial(3), LeasedTrial(4)]
    beating.server.lost = [{"study": "s", "number": 4, "reason": "taken"}]

    beating.heart.beat()

    assert [trial.lost for trial in beating.trials] == [[], ["taken"]]
    assert [len(trial.desired) for trial in beating.trials] == [1, 0]


def test_a_server_that_is_away_stops_nothing_and_is_logged_once(beating: Beating) -> None:
    beating.trials = [LeasedTrial(3)]
    beating.server.faults = {"renew": [httpx.ConnectError("refused")] * 3}

    for _ in range(5):
        beating.heart.beat()

    assert beating.trials[0].lost == []
    assert [call.args for call in beating.log.calls] == [("server away, the trials go on",), ("server back",)]


@pytest.mark.fault("N")
def test_a_worker_says_that_it_is_alive_while_the_server_is_away(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "IDLE_LEASE_S", 0.01)
    beating.server.faults = {"renew": [httpx.ConnectError("refused")] * 1000}

    beating.heart.start()

    for _ in range(2):
        beating.beats.get(timeout=60)
    assert not beating.server.named("renew")


def test_the_server_may_drain_the_worker(beating: Beating) -> None:
    beating.server.drain = True

    beating.heart.beat()

    assert beating.told.get(timeout=0) == "drain"


def test_a_wrong_token_is_told_to_the_daemon(beating: Beating) -> None:
    beating.server.faults = {"renew": [errors.Unauthorized("Wrong token.")]}

    beating.heart.beat()

    assert beating.told.get(timeout=0) == "Wrong token."


def test_it_beats_every_third_of_the_shortest_lease_also_when_that_one_came_later(
    beating: Beating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "IDLE_LEASE_S", 3600.0)
    beating.heart.start()  # nothing is leased: the next beat is far away
    started = time.monotonic()

    beating.trials = [LeasedTrial(3, lease_s=60), LeasedTrial(4, lease_s=0.3)]
    beating.heart.changed()

    for _ in range(3):
        beating.server.arrived.get(timeout=60)
    assert time.monotonic() - started > 0.2


@pytest.mark.parametrize(("uniform", "share"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_the_beat_is_a_fifth_early_or_late(beating: Beating, uniform: float, share: float) -> None:
    beating.heart._uniform = lambda: uniform

    assert beating.heart._jitter() == pytest.approx(share)
