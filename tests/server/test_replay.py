"""Every sample derived again from the record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.store.tables import numerics, trials
from sturgeon.search import numerics as own
from sturgeon.search.memo import Memo
from sturgeon.search.numerics import Numerics
from sturgeon.search.registry import SAMPLERS
from sturgeon.search.samplers import History, Sample
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from sturgeon.space import Space
    from tests.running import RunningServer

STUDY = BOWL | {"budget": {"max_trials": 42}}


def work(server: RunningServer, count: int) -> None:
    for _ in range(count):
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": lease.params["x"] ** 2, "seconds": 1.0})


@pytest.mark.parametrize(
    "search", [{}, {"model": "boxes"}, {"sampler": "random"}, {"sampler": "sobol"}, {"sampler": "grid"}]
)
def test_the_samples_of_every_sampler_come_out_again(server: RunningServer, search: dict[str, Any]) -> None:
    server.client.create_study(STUDY | {"search": search | {"seed": 7}})
    server.client.enqueue("bowl", {"x": 0.25, "n": 2})
    work(server, 12)
    server.client.ask("bowl", count=3)

    told = server.client.replay("bowl")

    assert (told.exact, told.trials, told.given, told.mismatches) == (True, 14, 1, [])
    assert told.verdict == "exact: all 14 samples come out again bit for bit"
    [used] = told.numerics
    assert (used.fingerprint, used.same, used.trials) == (own.numerics().fingerprint, True, 14)
    assert used.facts == own.numerics().facts


def test_replicates_come_out_again(server: RunningServer) -> None:
    server.client.create_study(STUDY | {"search": {"seed": 7, "replicates": 3}})
    work(server, 20)

    assert server.client.replay("bowl").exact


@pytest.mark.expects_errors("thread failed")
def test_draws_that_were_uniform_since_there_was_no_thought_come_out_as_such(server: RunningServer) -> None:
    def fails(_space: Space, _seed: int, _number: int, _history: History) -> Sample:
        raise ArithmeticError("a planted mistake")

    server.client.create_study(STUDY | {"search": {"seed": 7}})
    build = server.app.state.asks.sampler_pool.samplers["coarse_to_fine"]
    server.app.state.asks.sampler_pool.samplers["coarse_to_fine"] = lambda *built: replace(build(*built), draw=fails)
    work(server, 6)
    server.app.state.asks.sampler_pool.samplers["coarse_to_fine"] = build
    work(server, 6)

    told = server.client.replay("bowl")
    assert (told.exact, told.fallbacks) == (True, {"error": 6})


def test_a_sample_that_comes_out_otherwise_is_shown_with_distance_and_numerics(server: RunningServer) -> None:
    server.client.create_study(STUDY | {"search": {"seed": 7}})
    work(server, 12)
    with server.app.state.database.writing() as tx:
        tx.execute(numerics.insert().values(fingerprint="elsewhere", facts={"numpy": "1.0"}))
        tx.execute(trials.update().where(trials.c.number == 9).values(numerics="elsewhere"))
        [point] = tx.execute(sa.select(trials.c.point).where(trials.c.number == 3)).scalars()
        moved = [point[0] - 0.25 if point[0] > 0.5 else point[0] + 0.25, *point[1:]]
        tx.execute(trials.update().where(trials.c.number == 3).values(point=moved))

    told = server.client.replay("bowl")

    # The others saw the moved point, so they come out otherwise, too, once the rounds have begun.
    assert not told.exact
    assert told.verdict.startswith(f"not exact: {len(told.mismatches)} of 12 samples come out otherwise, by up to ")
    first = told.mismatches[0]
    assert (first.number, first.difference, first.reason) == (3, 0.25, "drawn under the same numerics")
    assert told.largest_difference >= 0.25
    elsewhere = [one for one in told.numerics if not one.same]
    assert [(one.fingerprint, one.trials, one.facts) for one in elsewhere] == [("elsewhere", 1, {"numpy": "1.0"})]
    assert {one.reason for one in told.mismatches if one.number == 9} <= {"drawn under other numerics"}


def test_a_sample_of_another_version_of_the_sampler_is_never_passed_silently(server: RunningServer) -> None:
    server.client.create_study(STUDY | {"search": {"seed": 7}})
    work(server, 3)
    with server.app.state.database.writing() as tx:
        tx.execute(trials.update().where(trials.c.number == 1).values(drawn={"version": 0}))

    told = server.client.replay("bowl")

    version = SAMPLERS["coarse_to_fine"]({}, Memo()).version
    [mismatch] = told.mismatches
    assert (told.exact, mismatch.number, mismatch.difference) == (False, 1, None)
    assert mismatch.reason == f"drawn by coarse_to_fine version 0; this server has coarse_to_fine version {version}"


@pytest.mark.fault("W11")
def test_a_replay_comes_in_pages(server: RunningServer) -> None:
    server.client.create_study(STUDY | {"search": {"seed": 7}})
    work(server, 10)

    first = server.client.replay("bowl", page_size=6)
    second = server.client.replay("bowl", page_size=6, page_token=first.next_page_token)

    assert (first.trials, second.trials, second.next_page_token) == (6, 4, None)
    assert first.verdict == "exact so far: the 6 samples of the study's 10 come out again bit for bit"
    assert second.verdict == "exact so far: the 4 samples of the study's 10 come out again bit for bit"
    assert first.exact
    assert second.exact


@pytest.mark.fault("W11")
def test_a_page_that_is_exact_says_nothing_of_the_rest(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 150}})
    server.client.enqueue("bowl", {"x": 0.5, "n": 2})
    for count in (1, 100, 49):
        server.client.ask("bowl", count=count)
    with server.app.state.database.writing() as tx:
        tx.execute(trials.update().where(trials.c.number == 140).values(point=[0.5, 0.5]))

    page = http.get("/v1/studies/bowl/replay").json()
    whole = server.client.replay("bowl")

    assert (page["trials"], page["given"], page["total"], page["exact"]) == (99, 1, 149, True)
    assert page["verdict"] == "exact so far: the 99 samples of the study's 149 come out again bit for bit"
    assert (whole.trials, whole.given, whole.total, whole.exact) == (149, 1, 149, False)
    assert whole.verdict.startswith("not exact: 1 of 149 samples come out otherwise, by up to ")
    assert [mismatch.number for mismatch in whole.mismatches] == [140]
    assert [used.trials for used in whole.numerics] == [149]
    assert whole.next_page_token is None


def test_numerics_are_named_by_what_they_are() -> None:
    mine: Numerics = own.numerics()

    assert mine.facts.keys() == {"machine", "python", "numpy", "scipy", "blas", "simd"}
    assert {pool["num_threads"] for pool in mine.facts["blas"]} == {1}
    assert all(pool["architecture"] for pool in mine.facts["blas"])
