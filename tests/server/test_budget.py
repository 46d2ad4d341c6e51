"""The budget counts every number ever given, and is never exceeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon.errors import BudgetSpent
from sturgeon.messages import Lease, Trial

if TYPE_CHECKING:
    from tests.running import RunningServer


def numbers(leases: list[Lease]) -> list[int]:
    return [lease.number for lease in leases]


@pytest.mark.usefixtures("bowl")
def test_an_ask_for_more_than_is_left_gets_what_is_left(server: RunningServer) -> None:
    assert numbers(server.client.ask("bowl", count=3).leases) == [0, 1, 2]
    assert numbers(server.client.ask("bowl", count=1000).leases) == [3]


@pytest.mark.usefixtures("bowl")
def test_beyond_the_budget_an_ask_gets_nothing_and_is_told_why(server: RunningServer) -> None:
    server.client.ask("bowl", count=4)

    spent = server.client.ask("bowl")

    assert (spent.leases, spent.reason) == ([], "budget")


@pytest.mark.usefixtures("bowl")
def test_given_trials_count_and_beyond_the_budget_none_is_taken(server: RunningServer) -> None:
    server.client.ask("bowl", count=2)
    assert [server.client.enqueue("bowl", {"x": 0, "n": n}).number for n in (1, 2)] == [2, 3]

    with pytest.raises(BudgetSpent, match="All 4 trials of bowl were given out; raise max_trials to go on"):
        server.client.enqueue("bowl", {"x": 0, "n": 3})

    assert server.client.study("bowl").counts == {"running": 2, "queued": 2}


@pytest.mark.usefixtures("bowl")
def test_failed_and_cancelled_trials_count_and_a_requeue_takes_no_number(server: RunningServer) -> None:
    server.client.ask("bowl", count=3)
    server.client.cancel("bowl", 0)
    server.client.requeue("bowl", 0)
    server.client.cancel("bowl", 1)

    assert numbers(server.client.ask("bowl", count=4).leases) == [0]
    assert numbers(server.client.ask("bowl", count=4).leases) == [3]
    assert server.client.ask("bowl").reason == "budget"


def test_queued_trials_go_out_before_new_ones_are_drawn_and_the_oldest_first(
    server: RunningServer, queued_trial: Trial
) -> None:
    later = server.client.enqueue("bowl", {"x": -0.5, "n": 1})

    first = server.client.ask("bowl", count=1).leases
    second = server.client.ask("bowl", count=4).leases
    third = server.client.ask("bowl", count=4).leases

    assert [(lease.number, lease.params) for lease in first] == [(queued_trial.number, {"x": 0.5, "n": 2})]
    assert [(lease.number, lease.params) for lease in second] == [(later.number, {"x": -0.5, "n": 1})]
    assert numbers(third) == [2, 3]
