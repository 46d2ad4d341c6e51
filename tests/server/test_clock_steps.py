"""A clock that is put forward or back: leases keep their length, and what is measured goes on evenly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from server.services.leases import clock_steps, housekeeping
from server.store.steady_clock import TOLERANCE_US, Offset, SteadyClock
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L4")
HOUR = 3600.0
STEPS = pytest.mark.parametrize("step", [-HOUR, HOUR, -2.5], ids="{:+g}s".format)


class Machine:
    """Its clock can be set; what passes meanwhile is told by a clock that cannot."""

    def __init__(self, server: RunningServer) -> None:
        self.clock = server.clock
        self.passed = 1000.0

    def monotonic(self) -> float:
        return self.passed

    def lapse(self, seconds: float) -> None:
        self.passed += seconds
        self.clock.advance(seconds)

    def set_clock(self, by: float) -> None:
        self.clock.advance(by)


@pytest.fixture
def machine(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine of a server with the study `bowl`, which has read its clock once."""
    machine = Machine(server)
    monkeypatch.setattr(server.app.state.database, "steady_clock", SteadyClock(machine.monotonic))
    server.client.create_study(BOWL)
    allow_for_step(server)
    return machine


def allow_for_step(server: RunningServer) -> None:
    clock_steps.allow_for_step(server.app.state.transactions)


def steps_counted(server: RunningServer, direction: str) -> float:
    return float(server.app.state.counters.clock_steps.labels(direction)._value.get())


def assert_runs_out_after(seconds: float, server: RunningServer, machine: Machine) -> None:
    """The lease of trial 0 does, not a tenth of a second earlier or later."""
    machine.lapse(seconds - 0.1)
    server.expire_leases()
    assert server.client.trial("bowl", 0).state == "running"
    machine.lapse(0.2)
    server.expire_leases()
    assert server.client.trial("bowl", 0).state == "queued"


@STEPS
@pytest.mark.parametrize("noticed", [False, True], ids=["at-once", "noticed"])
def test_a_lease_keeps_its_length_when_the_clock_is_set(
    server: RunningServer, machine: Machine, step: float, noticed: bool
) -> None:
    server.client.ask("bowl", lease_s=60, worker="ada")
    machine.lapse(30)
    machine.set_clock(step)
    if noticed:
        allow_for_step(server)

    assert_runs_out_after(30, server, machine)


@STEPS
def test_a_renewal_after_the_clock_was_set_lasts_as_long_as_any(
    server: RunningServer, machine: Machine, step: float
) -> None:
    server.client.ask("bowl", lease_s=60, worker="ada")
    machine.set_clock(step)
    server.client.renew("ada", [{"study": "bowl", "number": 0, "fence": 1}])
    allow_for_step(server)

    assert_runs_out_after(60, server, machine)


@STEPS
def test_the_seconds_spent_are_those_that_passed(server: RunningServer, machine: Machine, step: float) -> None:
    [lease] = server.client.ask("bowl", lease_s=60).leases
    machine.lapse(5)
    machine.set_clock(step)
    server.client.report("bowl", 0, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    allow_for_step(server)
    machine.lapse(7)
    server.client.tell("bowl", 0, lease.fence, {"loss": 1.0})

    assert server.client.study("bowl").spent.seconds == pytest.approx(12, abs=0.001)


@pytest.mark.parametrize(("step", "direction"), [(-HOUR, "back"), (HOUR, "forward")])
def test_a_step_is_counted_once_and_said_by_metrics(
    server: RunningServer, machine: Machine, http: httpx.Client, step: float, direction: str
) -> None:
    before = steps_counted(server, direction)
    machine.set_clock(step)
    for _ in range(3):
        allow_for_step(server)
        machine.lapse(10)

    assert steps_counted(server, direction) == before + 1
    assert f'sturgeon_clock_steps_total{{direction="{direction}"}}' in http.get("/metrics").text


@STEPS
def test_servers_agree_whichever_notices_the_step_and_whenever_it_started(
    settings: Settings, serve: Callable[[Settings], RunningServer], step: float
) -> None:
    servers = [serve(settings) for _ in range(3)]
    machine = Machine(servers[0])
    for place, one in enumerate(servers):
        one.clock = machine.clock
        database = one.app.state.database
        database.clock = machine.clock
        database.steady_clock = SteadyClock(lambda origin=777.0 * place: machine.monotonic() + origin)
    first, second, late = servers
    first.client.create_study(BOWL)
    first.client.ask("bowl", lease_s=60)
    allow_for_step(second)
    machine.set_clock(step)
    allow_for_step(first)
    machine.lapse(30)

    for one in (second, late, first):
        allow_for_step(one)
        one.expire_leases()
        assert first.client.trial("bowl", 0).state == "running"
    assert sum(steps_counted(one, "forward" if step > 0 else "back") for one in servers) == 1
    machine.lapse(30.1)
    late.expire_leases()
    assert first.client.trial("bowl", 0).state == "queued"


def test_a_lease_is_shortened_when_the_clock_was_put_back_while_no_server_ran(
    server: RunningServer, machine: Machine
) -> None:
    server.client.ask("bowl", lease_s=60)
    machine.set_clock(-HOUR)
    server.app.state.database.steady_clock = SteadyClock(machine.monotonic)  # as that of a server that starts now

    server.expire_leases()
    machine.lapse(60.1)
    server.expire_leases()

    assert server.client.trial("bowl", 0).state == "queued"


def test_seconds_are_never_negative_when_the_clock_was_put_back_while_no_server_ran(
    server: RunningServer, machine: Machine
) -> None:
    [lease] = server.client.ask("bowl", lease_s=60).leases
    machine.set_clock(-HOUR)
    server.app.state.database.steady_clock = SteadyClock(machine.monotonic)

    server.client.report("bowl", 0, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    assert server.client.study("bowl").spent.seconds == 0
    machine.lapse(3)
    server.client.tell("bowl", 0, lease.fence, {"loss": 1.0})
    assert server.client.study("bowl").spent.seconds == pytest.approx(3)


DAY = 86_400.0


def asked(http: httpx.Client, key: str) -> object:
    """What an ask under this key is answered."""
    return http.post("/v1/studies/bowl/trials:ask", json={}, headers={"Idempotency-Key": key}).json()


def test_a_clock_put_forward_makes_no_idempotency_key_old(
    server: RunningServer, machine: Machine, http: httpx.Client
) -> None:
    database, blobs = server.app.state.database, server.app.state.blobs
    first = asked(http, "one")
    machine.set_clock(2 * DAY)
    allow_for_step(server)
    second = asked(http, "two")

    housekeeping.clean_up(database, blobs)
    assert asked(http, "one") == first
    machine.lapse(DAY + 1)
    housekeeping.clean_up(database, blobs)
    assert asked(http, "two") != second


@STEPS
@pytest.mark.parametrize("noticed", [False, True], ids=["at-once", "noticed"])
def test_a_worker_stays_told_to_drain_and_listed_when_the_clock_is_set(
    server: RunningServer, machine: Machine, step: float, noticed: bool
) -> None:
    held = [{"study": "bowl", "number": 0, "fence": 1}]
    server.client.renew("ada", held)
    before = server.client.workers().items[0].last_seen_at
    server.client.drain_worker("ada")
    machine.set_clock(step)
    if noticed:
        allow_for_step(server)

    [listed] = server.client.workers().items
    assert (listed.last_seen_at - before).total_seconds() == pytest.approx(step)
    assert server.client.renew("ada", held).drain


# --- the clock by itself


NONE = Offset(0, 0)


def read(clock: SteadyClock, wall_s: float, offset: Offset = NONE) -> tuple[int, int]:
    reading = clock.read(lambda: round(wall_s * 1e6))
    return clock.steady(reading, offset), clock.step(reading, offset)


def test_a_clock_that_drifts_is_followed() -> None:
    passed = [0.0]
    clock = SteadyClock(lambda: passed[0])
    for minutes in range(10_000):
        passed[0] = minutes * 60.0
        wall = passed[0] * 1.0005  # as fast as a time server slews a clock
        assert read(clock, wall) == (round(wall * 1e6), 0)


def test_a_reading_that_took_long_is_no_step() -> None:
    times = iter([0.0, 0.0, 10.0, 70.0, 71.0, 71.0])
    clock = SteadyClock(lambda: next(times))
    assert read(clock, 500.0)[1] == 0
    reading = clock.read(lambda: 511_000_000)  # a minute passed until it came
    assert clock.step(reading, NONE) == 0
    assert read(clock, 571.0)[1] == 0


def test_an_old_snapshot_does_not_take_back_a_correction() -> None:
    clock = SteadyClock(lambda: 50.0)
    assert read(clock, 1000.0) == (1_000_000_000, 0)
    corrected = Offset(1, -3_600_000_000)
    assert read(clock, 4600.0, corrected) == (1_000_000_000, 0)
    assert read(clock, 4600.0, NONE)[0] == 1_000_000_000
    assert read(clock, 4600.0, corrected) == (1_000_000_000, 0)


def test_a_step_below_the_tolerance_is_followed() -> None:
    clock = SteadyClock(lambda: 50.0)
    read(clock, 1000.0)
    assert read(clock, 1000.0 + TOLERANCE_US / 2e6) == (round(1000e6 + TOLERANCE_US / 2), 0)
