"""A trial that is marked invalid counts for nothing, and stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.services.sampling.past import history_at
from server.store import studies
from sturgeon.errors import NotFound, WrongState
from sturgeon.messages import Lease, Trial

if TYPE_CHECKING:
    from tests.running import RunningServer


def seen(server: RunningServer, basis: int | None = None) -> tuple[list[int], list[int]]:
    """Numbers of the finished and the running trials that a sampler may see."""
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "bowl")
        assert study is not None
        _, history = history_at(tx, study, study.seq if basis is None else basis, study.next_number)
    return [t.number for t in history.finished], [t.number for t in history.running]


def test_an_invalid_trial_is_marked_and_keeps_all_that_it_has(server: RunningServer, finished_trial: Lease) -> None:
    before = server.client.trial("bowl", finished_trial.number)
    server.advance(seconds=5)

    marked = server.client.invalidate("bowl", finished_trial.number, "the labels were shuffled")

    assert marked == server.client.trial("bowl", finished_trial.number)
    assert marked.invalid is not None
    assert marked.invalid.reason == "the labels were shuffled"
    assert f"{marked.invalid.at:%H:%M:%S}" == "12:00:05"
    assert marked.model_copy(update={"invalid": None}) == before
    [event] = [event for event in server.client.events("bowl").items if event.kind == "invalidated"]
    assert (event.number, event.detail) == (0, {"reason": "the labels were shuffled"})


def test_an_invalid_trial_is_neither_best_nor_seen_by_a_sampler(server: RunningServer, finished_trial: Lease) -> None:
    [other] = server.client.ask("bowl").leases
    server.client.tell("bowl", other.number, other.fence, {"loss": 0.5})

    server.client.invalidate("bowl", finished_trial.number, "a wrong label")

    assert [item.number for item in server.client.best("bowl", 9).items] == [other.number]
    best = server.client.study("bowl").best
    assert best is not None
    assert best.number == other.number
    assert seen(server) == ([other.number], [])
    assert seen(server, basis=2) == ([finished_trial.number, other.number], [])  # when it was not invalid yet
    assert [t.number for t in server.client.all_trials("bowl", invalid=True)] == [finished_trial.number]
    assert [t.number for t in server.client.all_trials("bowl", invalid=False)] == [other.number]


def test_a_running_trial_that_is_invalid_goes_on_and_counts_for_nothing(
    server: RunningServer, leased_trial: Lease
) -> None:
    server.client.invalidate("bowl", leased_trial.number, "a wrong data set")
    assert seen(server) == ([], [])

    told = server.client.tell("bowl", leased_trial.number, leased_trial.fence, {"loss": 0.1})

    assert (told.state, told.value) == ("complete", 0.1)
    assert seen(server) == ([], [])
    assert server.client.best("bowl").items == []


def test_the_same_mark_again_changes_nothing_and_another_reason_is_refused(
    server: RunningServer, finished_trial: Lease
) -> None:
    marked = server.client.invalidate("bowl", finished_trial.number, "a wrong label")
    server.advance(seconds=1)

    assert server.client.invalidate("bowl", finished_trial.number, "a wrong label") == marked
    with pytest.raises(WrongState, match="Trial 0 is invalid already: a wrong label"):
        server.client.invalidate("bowl", finished_trial.number, "another")


def test_a_trial_that_waits_is_cancelled_not_invalidated(server: RunningServer, queued_trial: Trial) -> None:
    with pytest.raises(WrongState, match="Trial 0 is queued and has no result yet; cancel it instead"):
        server.client.invalidate("bowl", queued_trial.number, "no use")
    with pytest.raises(NotFound):
        server.client.invalidate("bowl", 3, "no use")


def test_an_invalid_trial_does_not_run_again(server: RunningServer, leased_trial: Lease) -> None:
    server.client.cancel("bowl", leased_trial.number)
    server.client.invalidate("bowl", leased_trial.number, "no use")

    with pytest.raises(WrongState, match="its result would not count"):
        server.client.requeue("bowl", leased_trial.number)
