"""What /metrics says of a server and its database, beside what test_observing.py counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.services.isolation import isolated
from server.services.studies import measures
from server.services.studies.measures import Measures, Measuring
from server.store.engine import Database
from sturgeon.errors import Unavailable
from sturgeon.threads import successes
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


def samples(http: httpx.Client) -> dict[str, dict[tuple[str, ...], float]]:
    """Name -> the values of its labels -> its value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(http.get("/metrics").raise_for_status().text):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("sturgeon_"), {})[tuple(sample.labels.values())] = sample.value
    return found


def test_workers_are_told_by_state_and_the_active_ones_with_their_slots(
    server: RunningServer, http: httpx.Client
) -> None:
    for name, slots in (("old", 8), ("ada", 3), ("bob", 2)):
        if name == "ada":
            server.advance(seconds=61)
        server.client.lease(name, slots=slots)
    server.client.lease("cy", slots=5)
    server.client.drain_worker("cy")

    told = samples(http)

    assert told["workers"] == {("active",): 2, ("draining",): 1, ("gone",): 1}
    assert told["worker_slots"] == {(): 5}


def test_the_longest_queues_are_told_by_study_and_no_others(server: RunningServer, http: httpx.Client) -> None:
    for number in range(measures.QUEUES + 2):
        name = f"study-{number:02}"
        server.client.create_study(BOWL | {"name": name})
        for _ in range(1 + (number == 5)):
            server.client.enqueue(name, {"x": 0.5, "n": 2})

    told = samples(http)

    assert told["queued_trials"] == {("study-05",): 2} | {
        (f"study-{number:02}",): 1 for number in range(measures.QUEUES) if number != 5
    }
    assert told["trials"] == {("queued",): measures.QUEUES + 3}


def test_answers_are_counted_by_status_and_asks_by_their_time(server: RunningServer, http: httpx.Client) -> None:
    before = samples(http)
    server.client.create_study(BOWL)
    server.client.ask("bowl")
    http.get("/v1/studies/none")
    http.get("/v1/studies/none")
    after = samples(http)

    def more(name: str, *labels: str) -> float:
        return after[name][labels] - before.get(name, {}).get(labels, 0)

    assert [more("answers_total", status) for status in ("200", "201", "404")] == [2, 1, 2]  # one is of /metrics
    assert (more("ask_seconds_count"), more("ask_seconds_bucket", "10.0")) == (1, 1)
    assert 0 < more("ask_seconds_sum") < 60


def test_what_is_open_is_told(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL)
    assert samples(http)["streams"] == {(): 0}
    with http.stream("GET", "/v1/studies/bowl/stream") as stream:
        parts = stream.iter_raw()
        next(parts)
        told = samples(http)

    assert told["streams"] == {(): 1}
    assert (told["long_polls"], told["requests_waiting"]) == ({(): 0}, {(): 0})


def test_disks_and_the_database_have_a_size(server: RunningServer, http: httpx.Client) -> None:
    told = samples(http)

    on_file = server.app.state.database.engine.dialect.name == "sqlite"
    assert told["disk_bytes"].keys() == {("checkpoints",), ("database",)} - (set() if on_file else {("database",)})
    assert all(0 < free < told["disk_bytes"][what] for what, free in told["disk_free_bytes"].items())
    assert told["database_bytes"][()] > 50_000


def test_a_server_without_its_database_still_tells_of_itself(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL)
    server.client.ask("bowl")
    with away(server.app.state.database):
        told = samples(http)

    assert told["database_up"] == {(): 0}
    assert told["answers_total"][("201",)] >= 1
    assert "trials" not in told
    assert samples(http)["database_up"] == {(): 1}


@contextmanager
def away(database: Database) -> Iterator[None]:
    """Whoever reads the database is told that it is away."""

    def raises() -> object:
        raise Unavailable("The database is away.")

    reading, database.reading = database.reading, raises  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        database.reading = reading  # type: ignore[method-assign]


@pytest.mark.usefixtures("bowl")
def test_made_up_addresses_methods_and_names_make_no_new_series(http: httpx.Client) -> None:
    def use(word: str) -> None:
        http.get(f"/{word}")
        http.get(f"/v1/studies/{word}/trials/0")
        http.post(f"/v1/studies/{word}/trials:ask", json={"worker": word})
        http.get(f"/studies/{word}")
        http.request("PROPFIND", f"/v1/{word}", headers={"User-Agent": word.encode()})
        http.post("/v1/studies/bowl/trials:ask", json={"worker": word, "count": 0})

    def series() -> set[tuple[str, tuple[str, ...]]]:
        told = {name: by_label for name, by_label in samples(http).items() if not name.startswith("duty_")}
        return {(name, labels) for name, by_label in told.items() for labels in by_label}

    for word in ("one", "one%2fmore"):
        use(word)
    samples(http)
    before = series()
    for word in ("two", "x" * 200, 'quo"te\\', "new%0Aline", "%1b[31m", "ñ", "..%2f..", "0"):
        use(word)

    assert series() == before


# --- what takes long


class Reads:
    """Reads measures in a time that the test sets, by a clock of its own."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.takes, self.count = 100.0, 0.0, 0
        self.measuring = Measuring(database, clock=lambda: self.now)
        monkeypatch.setattr(measures, "_measures", self._measure)

    def _measure(self, _tx: object) -> Measures:
        self.count += 1
        self.now += self.takes
        return Measures(slots=self.count)

    def after(self, seconds: float) -> int:
        self.now += seconds
        return self.measuring.read().slots


def test_what_is_read_quickly_is_read_at_each_scrape(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(server.app.state.database, monkeypatch)
    reads.takes = 0.4

    assert [reads.after(0.001) for _ in range(3)] == [1, 2, 3]


def test_what_is_read_slowly_takes_a_twentieth_of_the_time(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(server.app.state.database, monkeypatch)
    reads.takes = 3.0

    assert [reads.after(15) for _ in range(9)] == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_who_scrapes_while_another_one_does_gets_the_same(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring = Measuring(server.app.state.database)
    begun, may_end = Event(), Event()
    counts = iter((1, 2, 3))

    def slow(_tx: object) -> Measures:
        begun.set()
        may_end.wait(timeout=60)
        return Measures(slots=next(counts))

    monkeypatch.setattr(measures, "_measures", slow)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(measuring.read)
        begun.wait(timeout=60)
        others = [pool.submit(measuring.read) for _ in range(7)]
        may_end.set()
        read = [one.result().slots for one in (first, *others)]

    assert read[0] == 1
    assert set(read) <= {1, 2}  # those that came later have what was read after they came


# --- duties


def test_each_duty_says_when_it_was_last_done(server: RunningServer, http: httpx.Client) -> None:
    before = time.time()
    with isolated("lease expiry"):
        server.expire_leases()

    done = samples(http)["duty_last_success_timestamp_seconds"]
    assert before <= done[("lease expiry",)] <= time.time()


@pytest.mark.tolerates_errors("no luck")
@pytest.mark.parametrize("error", [KeyError("no luck"), Unavailable("no luck")])
def test_a_duty_of_which_a_part_fails_was_not_done(error: Exception) -> None:
    outer, inner = f"outer {error!r}", f"inner {error!r}"
    with isolated(outer), isolated(inner, study="bowl"):
        raise error
    assert not successes().keys() & {outer, inner}

    with isolated(outer), isolated(inner, study="bowl"):
        pass
    assert outer in successes()
    assert inner not in successes()  # the part of one study is not the whole duty
