"""What comes after its lease was lost changes nothing, and is kept as evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sturgeon.errors import LeaseLost
from sturgeon.messages import Lease
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer


def test_a_late_tell_is_refused_and_found_among_the_late_results(server: RunningServer, taken_trial: Lease) -> None:
    before = server.client.trial("bowl", 0)

    with pytest.raises(LeaseLost, match="The lease of trial 0 under fence 1 is lost; your tell was kept"):
        server.client.tell("bowl", 0, taken_trial.fence, {"loss": 0.0}, step=9)

    assert server.client.trial("bowl", 0) == before
    [late] = server.client.late_results("bowl").items
    assert late.model_dump(mode="json", exclude={"id"}) == {
        "number": 0,
        "fence": 1,
        "kind": "tell",
        "body": {
            "fence": 1,
            "state": "complete",
            "metrics": {"loss": 0.0},
            "step": 9,
            "where": None,
            "error": None,
            "retry": True,
        },
        "at": "2026-01-01T12:01:01Z",
        "actor": "local",
        "actor_token": None,
    }


def test_a_late_report_is_refused_and_found_among_the_late_results(server: RunningServer, taken_trial: Lease) -> None:
    report = {"step": 1, "epoch": 0.5, "metrics": {"loss": 0.5}}

    with pytest.raises(LeaseLost, match="your report was kept as a late result and changed nothing"):
        server.client.report("bowl", 0, taken_trial.fence, [report])

    assert server.client.trial_metrics("bowl", 0).items == []
    [late] = server.client.late_results("bowl").items
    assert (late.kind, late.body["reports"]) == ("report", [report])


def test_a_late_result_neither_renews_nor_counts(server: RunningServer, taken_trial: Lease) -> None:
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, taken_trial.fence, {"loss": 0.0})

    assert server.client.best("bowl").items == []
    assert server.client.tell("bowl", 0, 2, {"loss": 0.5}).value == 0.5


def test_a_result_after_the_expiry_that_nobody_took_counts(server: RunningServer, expired_trial: Lease) -> None:
    told = server.client.tell("bowl", 0, expired_trial.fence, {"loss": 0.5})

    assert (told.state, told.value) == ("complete", 0.5)
    assert server.client.late_results("bowl").items == []


def test_a_report_after_the_expiry_that_nobody_took_revives_the_lease(
    server: RunningServer, expired_trial: Lease
) -> None:
    server.client.report("bowl", 0, expired_trial.fence, [{"step": 1, "metrics": {"loss": 0.5}}])

    assert server.client.trial("bowl", 0).state == "running"


@pytest.mark.usefixtures("leased_trial")
def test_a_cancelled_trials_holder_is_fenced_off(server: RunningServer) -> None:
    cancelled = server.client.cancel("bowl", 0)
    assert cancelled.state == "cancelled"
    assert server.client.cancel("bowl", 0) == cancelled

    for late in (
        lambda: server.client.tell("bowl", 0, 1, {"loss": 0.0}),
        lambda: server.client.tell("bowl", 0, 2, {"loss": 0.0}),
        lambda: server.client.report("bowl", 0, 1, [{"step": 1, "metrics": {}}]),
    ):
        with pytest.raises(LeaseLost):
            late()

    assert server.client.trial("bowl", 0) == cancelled
    assert len(server.client.late_results("bowl").items) == 3


@pytest.mark.fault("L7")
def test_the_same_late_result_is_kept_once(server: RunningServer, taken_trial: Lease) -> None:
    for loss in (0.5, 0.5, 0.25, 0.5):
        with pytest.raises(LeaseLost):
            server.client.tell("bowl", 0, taken_trial.fence, {"loss": loss})

    assert [late.body["metrics"]["loss"] for late in server.client.late_results("bowl").items] == [0.5, 0.25]


@pytest.mark.fault("L7")
def test_what_comes_under_a_fence_that_was_never_given_is_not_kept(server: RunningServer, leased_trial: Lease) -> None:
    fence = leased_trial.fence + 76
    with pytest.raises(LeaseLost, match=f"never leased to you under fence {fence}; your tell was not kept"):
        server.client.tell("bowl", 0, fence, {"loss": 0.5})
    with pytest.raises(LeaseLost, match="your report was not kept"):
        server.client.report("bowl", 0, fence, [{"step": 1, "metrics": {"loss": 0.5}}])

    assert server.client.late_results("bowl").items == []


@pytest.mark.fault("L7")
@pytest.mark.parametrize(("limit", "kept"), [({"max_late_results": 3}, 3), ({"max_late_results_mb": 0.000_5}, 4)])
def test_of_too_many_late_results_the_oldest_are_deleted(
    settings: Settings, serve: Callable[[Settings], RunningServer], limit: dict[str, float], kept: int
) -> None:
    server = serve(settings.model_copy(update=limit))
    server.client.create_study(BOWL)
    [lease] = server.client.ask("bowl").leases
    server.client.cancel("bowl", 0)
    for step in range(6):  # each takes about 120 bytes
        with pytest.raises(LeaseLost):
            server.client.tell("bowl", 0, lease.fence, {"loss": 0.5}, step=step)

    steps = [late.body["step"] for late in server.client.late_results("bowl").items]

    assert steps == list(range(6 - kept, 6))
