"""Replicates: so many trials of each sample, which the search and the list of the best take as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.services.sampling.past import history_at
from server.services.trial_rows import new_trial
from server.store import studies, trials
from sturgeon.errors import BudgetSpent, Invalid
from sturgeon.messages import Lease, Study
from sturgeon.search.samplers import History, Sample, Sampler, uniform_point
from sturgeon.space import Space
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

THREE: dict[str, Any] = BOWL | {
    "search": {"sampler": "random", "seed": 7, "replicates": 3},
    "budget": {"max_trials": 12},
}


@pytest.fixture
def replicated(server: RunningServer) -> Study:
    """A study with three trials of each sample, and four samples."""
    return server.client.create_study(THREE)


def seen(server: RunningServer, basis: int | None = None, below: int | None = None) -> History:
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "bowl")
        assert study is not None
        basis = study.seq if basis is None else basis
        return history_at(tx, study, basis, study.next_number if below is None else below).history


def ask(server: RunningServer, count: int) -> list[Lease]:
    return server.client.ask("bowl", count).leases


def tell(server: RunningServer, leases: list[Lease], losses: list[float | None]) -> None:
    """None is told as diverged."""
    for lease, loss in zip(leases, losses, strict=True):
        state = "diverged" if loss is None else "complete"
        server.client.tell("bowl", lease.number, lease.fence, {"loss": loss}, state=state)  # type: ignore[arg-type]


@pytest.mark.usefixtures("replicated")
def test_replicates_have_the_same_parameters_and_other_seeds(server: RunningServer) -> None:
    leases = ask(server, 6)

    assert [server.client.trial("bowl", n).group for n in range(6)] == [0, 0, 0, 3, 3, 3]
    assert len({str(lease.params) for lease in leases}) == 2
    assert leases[0].params == leases[2].params != leases[3].params == leases[5].params
    assert len({lease.seed for lease in leases}) == 6


@pytest.mark.usefixtures("replicated")
def test_no_sample_of_the_sequence_is_left_out(server: RunningServer) -> None:
    space = server.client.study("bowl").space

    assert [lease.params for lease in ask(server, 12)[::3]] == [space.decode(uniform_point(7, n, 2)) for n in range(4)]


@pytest.mark.usefixtures("replicated")
def test_replicates_that_were_not_asked_for_yet_wait_and_go_out_before_new_ones(server: RunningServer) -> None:
    first = ask(server, 4)
    assert [lease.number for lease in first] == [0, 1, 2, 3]
    assert server.client.study("bowl").counts == {"running": 4, "queued": 2}

    assert [lease.number for lease in ask(server, 1) + ask(server, 4) + ask(server, 4)] == [4, 5, 6, 7, 8, 9]
    assert server.client.study("bowl").counts == {"running": 10, "queued": 2}


def test_replicates_go_out_as_a_stack(server: RunningServer) -> None:
    task = {"kind": "train", "dataset": "digits", "epochs": 1}
    space = {"hidden_units": {"type": "int", "low": 1, "high": 999}}
    server.client.create_study(THREE | {"task": task, "space": space, "metric": "dev_error"})

    leases = server.client.lease("rig", slots=2, stack=3).leases

    assert [(lease.number, lease.stack) for lease in leases] == [(n, n // 3) for n in range(6)]


@pytest.mark.usefixtures("replicated")
def test_given_parameters_are_replicated_too(server: RunningServer) -> None:
    first = server.client.enqueue("bowl", {"x": 0.5, "n": 2})

    assert (first.number, first.group) == (0, 0)
    assert [lease.params for lease in ask(server, 4)] == [{"x": 0.5, "n": 2}] * 3
    server.client.ask("bowl", 9)
    with pytest.raises(BudgetSpent):
        server.client.enqueue("bowl", {"x": 0.5, "n": 2})
    assert server.client.study("bowl").counts == {"running": 12}


@pytest.mark.parametrize("spent", [10, 13])
def test_the_budget_parts_no_replicates(server: RunningServer, replicated: Study, spent: int) -> None:
    budget = {"budget": {"max_trials": spent}}
    sentence = f"each of 3 replicates is a trial, so write a multiple of it: {spent // 3 * 3} or {spent // 3 * 3 + 3}"

    with pytest.raises(Invalid, match=sentence):
        server.client.patch_study("bowl", budget)
    with pytest.raises(Invalid, match=sentence):
        server.client.create_study(THREE | {"name": "other"} | budget)

    assert replicated.search.replicates == 3
    assert server.client.study("bowl") == replicated


@pytest.mark.usefixtures("replicated")
def test_a_study_is_completed_with_its_last_replicate(server: RunningServer) -> None:
    leases = ask(server, 12)
    tell(server, leases[:-1], [0.5] * 11)
    assert server.client.study("bowl").state == "active"
    tell(server, leases[-1:], [0.5])
    assert server.client.study("bowl").state == "completed"


# --- what a sampler sees ---


@pytest.mark.usefixtures("replicated")
def test_a_sampler_sees_the_mean_when_all_have_finished(server: RunningServer) -> None:
    leases = ask(server, 3)
    tell(server, leases[:2], [0.25, 0.5])
    assert ([t.number for t in seen(server).finished], [t.number for t in seen(server).running]) == ([], [0])

    tell(server, leases[2:], [0.75])

    [one] = seen(server).finished
    assert (one.number, one.score) == (0, 0.5)
    assert len(seen(server, basis=2).finished) == 0  # as it was before the last


@pytest.mark.usefixtures("replicated")
def test_groups_stand_in_the_order_in_which_the_last_of_each_finished(server: RunningServer) -> None:
    leases = ask(server, 6)
    tell(server, leases[:2] + leases[3:], [0.5] * 5)
    tell(server, leases[2:3], [0.5])

    assert [t.number for t in seen(server).finished] == [3, 0]


@pytest.mark.usefixtures("replicated")
def test_a_failed_replicate_counts_for_nothing_and_a_diverged_one_for_all(server: RunningServer) -> None:
    leases = ask(server, 9)
    server.client.cancel("bowl", 0)
    tell(server, leases[1:3], [0.25, 0.75])
    tell(server, leases[3:6], [0.25, None, 0.75])
    for number in (6, 7, 8):
        server.client.cancel("bowl", number)

    assert [(t.number, t.score) for t in seen(server).finished] == [(0, 0.5), (3, None)]
    assert seen(server).running == ()

    server.client.invalidate("bowl", 1, "a wrong label")
    server.client.requeue("bowl", 6)
    assert [(t.number, t.score) for t in seen(server).finished] == [(0, 0.75), (3, None)]
    assert [t.number for t in seen(server).running] == [6]


def test_a_maximised_mean_is_turned_for_the_sampler(server: RunningServer) -> None:
    server.client.create_study(THREE | {"direction": "maximize"})
    tell(server, ask(server, 3), [0.25, 0.5, 0.75])

    assert seen(server).finished[0].score == -0.5


def test_each_draw_sees_what_the_record_says_that_it_saw(server: RunningServer) -> None:
    """Samples are numbered for the sampler, and each sees those before it as running."""
    calls: list[tuple[int, History]] = []

    def noted(_space: Space, seed: int, number: int, history: History) -> Sample:
        calls.append((number, history))
        return Sample(uniform_point(seed, number, 2))

    server.app.state.asks.sampler_pool.samplers["random"] = lambda _options, _memo: Sampler("random", 1, noted)
    server.client.create_study(THREE)
    tell(server, ask(server, 4)[:3], [0.25, 0.5, 0.75])
    ask(server, 2)
    ask(server, 5)

    assert [number for number, _ in calls] == [0, 1, 2, 3]
    for number, history in calls:
        assert history == seen(server, server.client.trial("bowl", 3 * number).drawn.basis, below=3 * number)
    assert [len(history.running) for _, history in calls] == [0, 1, 1, 2]


# --- the best ---


@pytest.mark.usefixtures("replicated")
def test_the_best_are_compared_by_their_means(server: RunningServer) -> None:
    leases = ask(server, 9)
    tell(server, leases[:6], [0.4, 0.5, 0.6, 0.2, 0.9, 0.7])
    tell(server, leases[6:8], [0.0, 0.0])  # one still runs

    best = server.client.best("bowl", 9)

    assert [(item.number, round(item.value, 12)) for item in best.items] == [(0, 0.5), (3, 0.6)]
    first = best.items[0]
    assert first.replicates is not None
    assert (first.replicates.numbers, first.replicates.values) == ([0, 1, 2], [0.4, 0.5, 0.6])
    assert first.replicates.standard_error == pytest.approx(0.1 / 3**0.5)
    assert first.metrics == {"loss": pytest.approx(0.5)}
    assert server.client.study("bowl").best == first
    assert best.separable is False
    assert best.verdict is not None
    assert best.verdict.startswith(
        "Not separable: trial 0's mean loss 0.5 ± 0.058 (n = 3) may be better than 3's 0.6 ± 0.21 (n = 3) by its seeds"
    )


def test_a_winner_far_ahead_of_the_noise_is_separable(server: RunningServer) -> None:
    server.client.create_study(THREE | {"direction": "maximize"})
    tell(server, ask(server, 6), [0.5, 0.51, 0.52, 0.8, 0.81, 0.82])

    best = server.client.best("bowl")

    assert ([item.number for item in best.items], best.separable) == ([3], True)
    assert best.verdict is not None
    assert "is better than 0's 0.51 ± 0.0058 (n = 3) by more than the seeds explain" in best.verdict


@pytest.mark.usefixtures("replicated")
def test_a_replicate_that_diverged_or_failed_is_no_part_of_a_mean(server: RunningServer) -> None:
    leases = ask(server, 6)
    tell(server, leases[:3], [0.1, None, 0.1])
    server.client.cancel("bowl", 3)
    tell(server, leases[4:], [0.5, 0.75])

    [item] = server.client.best("bowl", 9).items

    assert (item.number, item.value) == (4, 0.625)
    assert server.client.best("bowl").separable is None


def test_huge_values_have_a_mean(server: RunningServer) -> None:
    server.client.create_study(THREE)
    tell(server, ask(server, 6), [1.7e308, 1.7e308, 1.7e308, 1.7e308, -1.7e308, 1.7e308])

    best = server.client.best("bowl", 9)

    assert [item.number for item in best.items] == [3, 0]
    assert best.items[1].value == pytest.approx(1.7e308)
    assert best.separable is False


def test_without_replicates_nothing_is_said_of_separability(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    tell(server, ask(server, 2), [0.25, 0.5])

    best = server.client.best("bowl")

    assert (best.separable, best.verdict, best.items[0].replicates) == (None, None, None)


def test_a_goal_is_reached_by_the_mean_not_by_a_lucky_replicate(server: RunningServer) -> None:
    server.client.create_study(THREE | {"budget": {"max_trials": 12, "stop_when": {"below": 0.3}}})
    tell(server, ask(server, 3), [0.1, 0.5, 0.6])
    assert server.client.study("bowl").state == "active"

    tell(server, ask(server, 3), [0.1, 0.2, 0.4])

    assert server.client.study("bowl").state == "completed"


def test_a_single_trial_between_groups_parts_none_and_shifts_no_sample_onto_another(server: RunningServer) -> None:
    """A fork of a trial takes one number."""
    server.client.create_study(THREE)
    ask(server, 3)
    with server.app.state.database.writing() as tx:
        study = studies.find(tx, "bowl")
        assert study is not None
        point = (0.5, 0.5)
        trials.insert(
            tx,
            [new_trial(study, 3, {"x": 0.0, "n": 2}, point, 0) | {"state": "failed", "left_seq": 1, "finished_at": 0}],
        )
        studies.update(tx, study.id, next_number=4)

    leases = ask(server, 9)

    assert [lease.number for lease in leases] == [4, 5, 6, 7, 8, 9]
    assert [server.client.trial("bowl", n).group for n in range(10)] == [0, 0, 0, None, 4, 4, 4, 7, 7, 7]
    assert len({str(lease.params) for lease in leases}) == 2
    assert server.client.replay("bowl").exact
    tell(server, leases, [0.5] * 6)
    for number in range(3):
        server.client.cancel("bowl", number)
    assert server.client.study("bowl").state == "completed"  # two numbers are left, three would be needed
