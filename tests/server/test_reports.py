"""Intermediate metrics: each step once, whatever is sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.errors import NotFound, ReportConflict
from sturgeon.messages import Desired

if TYPE_CHECKING:
    from tests.running import RunningServer

FIRST = {"step": 10, "epoch": 1, "metrics": {"loss": 0.5, "odd": None}}
SECOND = {"step": 20, "epoch": 2, "metrics": {"loss": 0.25}}


def curve(server: RunningServer) -> list[tuple[int, dict[str, float | None]]]:
    return [(report.step, report.metrics) for report in server.client.trial_metrics("bowl", 0).items]


@pytest.mark.usefixtures("leased_trial")
def test_reports_are_read_in_the_order_of_their_steps(server: RunningServer) -> None:
    answer = server.client.report("bowl", 0, 1, [SECOND])
    server.advance(seconds=5)
    server.client.report("bowl", 0, 1, [FIRST])

    assert answer.model_dump() == {"desired": Desired().model_dump()}
    assert [one.model_dump(mode="json") for one in server.client.trial_metrics("bowl", 0).items] == [
        FIRST | {"epoch": 1.0, "fence": 1, "leg": 0, "left": False, "at": "2026-01-01T12:00:05Z"},
        SECOND | {"epoch": 2.0, "fence": 1, "leg": 0, "left": False, "at": "2026-01-01T12:00:00Z"},
    ]


@pytest.mark.usefixtures("leased_trial")
def test_a_report_renews_the_lease(server: RunningServer) -> None:
    for _ in range(3):
        server.advance(seconds=59)
        server.client.report("bowl", 0, 1, [])
        server.expire_leases()

    assert server.client.trial("bowl", 0).state == "running"


@pytest.mark.usefixtures("leased_trial")
def test_the_same_report_again_has_no_effect(server: RunningServer) -> None:
    server.client.report("bowl", 0, 1, [FIRST, FIRST])
    before = server.client.trial_metrics("bowl", 0)
    server.advance(seconds=5)

    server.client.report("bowl", 0, 1, [FIRST, SECOND])

    assert server.client.trial_metrics("bowl", 0).items[0] == before.items[0]
    assert [step for step, _ in curve(server)] == [10, 20]


@pytest.mark.parametrize(
    "other",
    [{"metrics": {"loss": 0.75, "odd": None}}, {"metrics": {"loss": 0.5}}, {"epoch": 3}, {"epoch": None}],
    ids=str,
)
@pytest.mark.usefixtures("leased_trial")
def test_another_report_of_the_same_step_is_refused_whole(server: RunningServer, other: dict[str, Any]) -> None:
    server.client.report("bowl", 0, 1, [FIRST])

    with pytest.raises(ReportConflict, match="Step 10 was reported before with other values; nothing was changed"):
        server.client.report("bowl", 0, 1, [SECOND, FIRST | other])

    assert curve(server) == [(10, FIRST["metrics"])]


@pytest.mark.usefixtures("leased_trial")
def test_one_request_cannot_report_a_step_in_two_ways(server: RunningServer) -> None:
    with pytest.raises(ReportConflict):
        server.client.report("bowl", 0, 1, [FIRST, FIRST | {"metrics": {"loss": 0.75}}])

    assert curve(server) == []


@pytest.mark.usefixtures("leased_trial")
def test_the_next_run_reports_its_own_curve(server: RunningServer) -> None:
    server.client.report("bowl", 0, 1, [FIRST, SECOND])
    server.client.release("bowl", 0, 1)
    server.client.ask("bowl")
    assert len(curve(server)) == 2

    server.client.report("bowl", 0, 2, [FIRST | {"metrics": {"loss": 0.75}}])

    assert curve(server) == [(10, {"loss": 0.75})]


@pytest.mark.usefixtures("leased_trial")
def test_numbers_come_back_as_they_were_sent(server: RunningServer) -> None:
    sent = {"a": 1e-323, "b": -0.0, "c": 1.7976931348623157e308, "d": 0.1, "e": 2**53}
    server.client.report("bowl", 0, 1, [{"step": 2**53, "metrics": sent}])

    assert curve(server) == [(2**53, sent)]


@pytest.mark.usefixtures("leased_trial")
def test_a_trial_that_was_never_given_has_no_curve(server: RunningServer) -> None:
    with pytest.raises(NotFound, match="The study bowl has no trial 1"):
        server.client.trial_metrics("bowl", 1)
    with pytest.raises(NotFound, match="The study bowl has no trial 1"):
        server.client.report("bowl", 1, 1, [FIRST])
