"""What comes after its lease was lost changes nothing, and is kept as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sturgeon.errors import LeaseLost
from sturgeon.messages import Lease

if TYPE_CHECKING:
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
        },
        "at": "2026-01-01T12:01:01Z",
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
