"""READ, THINK, WRITE: what a sampler saw is what the record says that it saw, however many ask at once."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from server.services.sampling.past import history_at
from server.store import studies, trial_lists
from server.store.tables import requeue_gaps
from sturgeon.search.samplers import History, Sample, Sampler, uniform_point
from sturgeon.space import Space
from tests.processes import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

BUDGET = 120
STUDY: dict[str, Any] = {
    "name": "raced",
    "metric": "loss",
    "direction": "maximize",
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}},
    "search": {"sampler": "random", "seed": 5},
    "budget": {"max_trials": BUDGET},
}
Draw = Callable[[Space, int, int, History], Sample]


def depends_on_all(space: Space, seed: int, number: int, history: History) -> Sample:
    """Another point for every other seed, number or history."""
    seen = (list(history.finished), history.running, len(history.handed_out))
    digest = hashlib.sha256(repr((seed, number, seen)).encode()).digest()
    return Sample(tuple(int.from_bytes(digest[8 * i : 8 * i + 6]) / 2**48 for i in range(len(space.searched))), round=1)


def plant(server: RunningServer, draw: Draw, draw_within_s: float = 60) -> None:
    """Have the server draw so; it waits that long for a sampler."""
    server.app.state.asks.sampler_pool.samplers["random"] = lambda *_: Sampler("random", 1, draw)
    server.app.state.asks.sampler_pool.draw_within_s = draw_within_s


@pytest.fixture
def two_servers(settings: Settings, serve: Callable[[Settings], RunningServer]) -> list[RunningServer]:
    """Two servers on one database, whose sampler needs all of the history. Once on each kind of database."""
    servers = [serve(settings), serve(settings)]
    for server in servers:
        plant(server, depends_on_all)
    servers[0].client.create_study(STUDY)
    return servers


def work_until_spent(server: RunningServer, thread: int) -> list[int]:
    """Ask, and end what was got in every way there is; the numbers under fence 1, as they came."""
    new = []
    for turn in count(thread):
        leases = server.client.ask("raced", count=1 + turn % 2).leases
        if not leases:
            return new
        for lease in leases:
            new += [lease.number] * (lease.fence == 1)
            if turn % 7 == 3 and lease.fence == 1:
                server.client.cancel("raced", lease.number)
                server.client.requeue("raced", lease.number)
            elif turn % 7 == 5:
                server.client.tell("raced", lease.number, lease.fence, state="diverged")
            elif turn % 7 == 6:
                server.client.cancel("raced", lease.number)
            else:
                server.client.tell("raced", lease.number, lease.fence, {"loss": lease.params["x"]})
    raise AssertionError


def test_every_draw_is_drawn_again_from_the_record(two_servers: list[RunningServer]) -> None:
    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(work_until_spent, two_servers[i % 2], i) for i in range(8)]
        numbers = [number for one in work for number in one.result()]

    assert Counter(numbers) == Counter(range(BUDGET))
    with two_servers[0].app.state.database.reading() as tx:
        study = studies.find(tx, "raced")
        assert study is not None
        drawn = trial_lists.page(tx, study.id, trial_lists.Listing(), None, 1000)
        for trial in drawn:
            space, seen = history_at(tx, study, trial.basis_seq, trial.number)
            again = depends_on_all(space, study.seed, trial.number, seen).point
            fallback = trial.drawn.get("fallback")
            assert fallback in (None, "contention")
            expected = again if fallback is None else uniform_point(study.seed, trial.number, 2)
            assert (trial.number, tuple(trial.point)) == (trial.number, expected)
        turns = [seq for row in tx.execute(sa.select(requeue_gaps.c.left_seq, requeue_gaps.c.back_seq)) for seq in row]

    # Gapless and in commit order: each number of the sequence belongs to one leaving or return.
    assert sorted([*turns, *(t.left_seq for t in drawn if t.left_seq)]) == list(range(1, study.seq + 1))
    assert len({trial.basis_seq for trial in drawn}) > BUDGET // 4  # they did see each other's results


def test_the_lock_of_a_process_spares_its_threads_from_losing_races(
    settings: Settings, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(settings)
    thoughts = count()

    def counted(space: Space, seed: int, number: int, history: History) -> Sample:
        next(thoughts)
        return depends_on_all(space, seed, number, history)

    plant(server, counted)
    server.client.create_study(STUDY | {"budget": {"max_trials": 40}})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: server.client.ask("raced"), range(40)))

    assert {trial.drawn.fallback for trial in server.client.all_trials("raced")} == {None}
    assert next(thoughts) == 40


# --- when there is no thought ---


def fails(_space: Space, _seed: int, _number: int, _history: History) -> Sample:
    raise ArithmeticError("a planted mistake")


def leaves_the_cube(_space: Space, _seed: int, _number: int, _history: History) -> Sample:
    return Sample((0.5, 1.5))


def forgets_a_parameter(_space: Space, _seed: int, _number: int, _history: History) -> Sample:
    return Sample((0.5,))


def assert_uniform(server: RunningServer, fallback: str) -> None:
    """Both trials of one ask were drawn uniformly, and say so."""
    leases = server.client.ask("raced", count=2).leases
    space = Space.model_validate(STUDY["space"])

    assert [lease.params for lease in leases] == [space.decode(uniform_point(5, lease.number, 2)) for lease in leases]
    for lease in leases:
        assert server.client.trial("raced", lease.number).drawn.fallback == fallback
    assert len(leases) == 2


@pytest.mark.expects_errors("thread failed")
@pytest.mark.parametrize("draw", [fails, leaves_the_cube, forgets_a_parameter], ids=lambda draw: draw.__name__)
def test_a_sampler_that_fails_leaves_a_uniform_draw(server: RunningServer, draw: Draw) -> None:
    plant(server, draw)
    server.client.create_study(STUDY)

    assert_uniform(server, "error")


def test_a_sampler_that_is_slow_is_not_waited_for(server: RunningServer) -> None:
    over = threading.Event()

    def slow(space: Space, seed: int, number: int, history: History) -> Sample:
        over.wait(timeout=DEADLINE_S)
        return depends_on_all(space, seed, number, history)

    plant(server, slow, draw_within_s=0.05)
    server.client.create_study(STUDY)
    try:
        assert_uniform(server, "slow")
    finally:
        over.set()


def test_a_sampler_that_hangs_holds_up_nobody(server: RunningServer) -> None:
    """Twenty ask for the study whose sampler hangs: all wait for the one thought, and then no more. Another study is
    thought for meanwhile."""
    is_drawing, over = threading.Event(), threading.Event()

    def hangs(space: Space, seed: int, number: int, history: History) -> Sample:
        is_drawing.set()
        over.wait(timeout=DEADLINE_S)
        return depends_on_all(space, seed, number, history)

    plant(server, hangs, draw_within_s=3)
    server.client.create_study(STUDY)
    server.client.create_study(STUDY | {"name": "other", "search": {"sampler": "coarse_to_fine", "seed": 5}})
    before = draws(server)
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(20) as threads:
            asked = [threads.submit(server.client.ask, "raced") for _ in range(20)]
            assert is_drawing.wait(timeout=DEADLINE_S)
            others = [server.client.ask("other").leases[0].number for _ in range(5)]
            numbers = [lease.number for one in asked for lease in one.result(timeout=DEADLINE_S).leases]
    finally:
        over.set()

    assert time.monotonic() - started < 45  # one after the other they would take 60 s
    assert sorted(numbers) == list(range(20))
    assert {server.client.trial("raced", number).drawn.fallback for number in numbers} <= {"slow", "contention"}
    assert {server.client.trial("other", number).drawn.fallback for number in others} == {None}
    grown = {labels: count - before.get(labels, 0) for labels, count in draws(server).items()}
    assert sum(grown.get(("random", fallback), 0) for fallback in ("slow", "contention")) == 20
    assert grown["coarse_to_fine", "none"] == 5


def draws(server: RunningServer) -> dict[tuple[str, str], float]:
    """(sampler, fallback) -> how many samples the server has counted in /metrics."""
    [family] = [one for one in server.app.state.counters.registry.collect() if one.name == "sturgeon_draws"]
    return {
        (sample.labels["sampler"], sample.labels["fallback"]): sample.value
        for sample in family.samples
        if sample.name == "sturgeon_draws_total"
    }


def test_a_sampler_that_was_slow_once_is_asked_again_when_it_is_done(server: RunningServer) -> None:
    over = threading.Event()

    def slow_at_first(space: Space, seed: int, number: int, history: History) -> Sample:
        if number == 0:
            over.wait(timeout=DEADLINE_S)
        return depends_on_all(space, seed, number, history)

    plant(server, slow_at_first, draw_within_s=0.2)
    server.client.create_study(STUDY)
    server.client.ask("raced")
    server.client.ask("raced")
    over.set()
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "raced")
    assert study is not None
    overdue = server.app.state.asks.sampler_pool.is_overdue
    wait_until(lambda: not overdue(study.id), "the thought was done")
    server.client.ask("raced")

    assert [trial.drawn.fallback for trial in server.client.all_trials("raced")] == ["slow", "slow", None]


def test_what_was_thought_in_time_is_handed_out(server: RunningServer) -> None:
    over = threading.Event()

    def slow_at_third(space: Space, seed: int, number: int, history: History) -> Sample:
        if number == 2:
            over.wait(timeout=DEADLINE_S)
        return depends_on_all(space, seed, number, history)

    plant(server, slow_at_third, draw_within_s=2)
    server.client.create_study(STUDY)
    try:
        leases = server.client.ask("raced", count=5).leases
    finally:
        over.set()

    assert [lease.number for lease in leases] == [0, 1]
    assert {trial.drawn.fallback for trial in server.client.all_trials("raced")} == {None}


def test_after_eight_lost_races_a_draw_is_uniform(server: RunningServer) -> None:
    races = count()

    def overtaken(space: Space, seed: int, number: int, history: History) -> Sample:
        next(races)
        server.client.enqueue("raced", {"x": 0.5, "y": 0.5})
        return depends_on_all(space, seed, number, history)

    plant(server, overtaken)
    server.client.create_study(STUDY)

    [lease] = server.client.ask("raced").leases

    assert (next(races), lease.number) == (8, 8)
    assert lease.params == Space.model_validate(STUDY["space"]).decode(uniform_point(5, 8, 2))
    assert server.client.trial("raced", 8).drawn.fallback == "contention"


def test_while_a_sampler_thinks_the_study_is_free_for_others(server: RunningServer) -> None:
    is_drawing, over = threading.Event(), threading.Event()

    def slow(space: Space, seed: int, number: int, history: History) -> Sample:
        is_drawing.set()
        assert over.wait(timeout=DEADLINE_S)
        return depends_on_all(space, seed, number, history)

    plant(server, depends_on_all)
    server.client.create_study(STUDY)
    server.client.ask("raced")
    plant(server, slow)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(server.client.ask, "raced")
        assert is_drawing.wait(timeout=DEADLINE_S)

        told = server.client.tell("raced", 0, 1, {"loss": 1.0})
        server.client.patch_study("raced", {"title": "changed meanwhile"})

        assert not asked.done()
        over.set()
        [lease] = asked.result(timeout=DEADLINE_S).leases

    assert (told.state, lease.number) == ("complete", 1)
    assert server.client.trial("raced", 1).drawn.basis == 0  # it did not see what was told meanwhile


def test_a_budget_that_is_lowered_while_a_sampler_thinks_is_not_exceeded(server: RunningServer) -> None:
    def lowers(space: Space, seed: int, number: int, history: History) -> Sample:
        server.client.patch_study("raced", {"budget": {"max_trials": 1}})
        return depends_on_all(space, seed, number, history)

    plant(server, lowers)
    server.client.create_study(STUDY)

    assert [lease.number for lease in server.client.ask("raced", count=3).leases] == [0]


def test_a_space_that_changes_while_a_sampler_thinks_is_thought_of_again(server: RunningServer) -> None:
    wider = STUDY["space"] | {"x": {"type": "float", "low": 0, "high": 9}}

    def widens(space: Space, seed: int, number: int, history: History) -> Sample:
        server.client.patch_study("raced", {"space": wider})
        return depends_on_all(space, seed, number, history)

    plant(server, widens)
    server.client.create_study(STUDY)

    [lease] = server.client.ask("raced").leases

    trial = server.client.trial("raced", 0)
    assert (trial.drawn.revision, trial.drawn.basis, trial.drawn.fallback) == (1, 1, None)
    point = depends_on_all(Space.model_validate(wider), 5, 0, History((), ())).point
    assert lease.params == Space.model_validate(wider).decode(point)


def test_a_cancelled_studys_trials_leave_one_after_the_other(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    server.client.ask("raced", count=3)

    server.client.patch_study("raced", {"state": "cancelled"})

    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "raced")
        assert study is not None
        left = [trial.left_seq for trial in trial_lists.page(tx, study.id, trial_lists.Listing(), None, 10)]
    assert (left, study.seq) == ([1, 2, 3], 3)


def test_a_study_that_is_paused_while_a_sampler_thinks_gives_nothing(server: RunningServer) -> None:
    def pauses(space: Space, seed: int, number: int, history: History) -> Sample:
        server.client.patch_study("raced", {"state": "paused"})
        return depends_on_all(space, seed, number, history)

    plant(server, pauses)
    server.client.create_study(STUDY)

    answer = server.client.ask("raced")

    assert (answer.leases, answer.reason) == ([], "paused")
    assert server.client.study("raced").counts == {}
