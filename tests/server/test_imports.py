"""Trials that another tool has finished: they come with their dates and curves, once, and samplers see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.errors import BudgetSpent, WrongState
from sturgeon.messages import ImportedTrial
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

STARTED, FINISHED = datetime(2025, 3, 1, 10, tzinfo=UTC), datetime(2025, 3, 1, 11, tzinfo=UTC)
EXAMPLE: dict[str, Any] = {
    "key": "optuna:old/0",
    "params": {"x": 0.5, "n": 2},
    "state": "complete",
    "metrics": {"loss": 0.25, "accuracy": 0.9},
    "started_at": STARTED,
    "finished_at": FINISHED,
    "reports": [{"step": 2, "metrics": {"loss": 0.25}}, {"step": 1, "metrics": {"loss": 0.5}}],
}


def other(number: int, **fields: Any) -> ImportedTrial:
    return ImportedTrial.model_validate(EXAMPLE | {"key": f"optuna:old/{number}"} | fields)


@pytest.mark.usefixtures("bowl")
def test_an_imported_trial_has_its_dates_its_curve_and_its_key(server: RunningServer) -> None:
    (item,) = server.client.import_trials("bowl", [other(0)]).items
    assert (item.key, item.number, item.known, item.code) == ("optuna:old/0", 0, False, None)
    trial = server.client.trial("bowl", 0)
    assert (trial.state, trial.value, trial.params) == ("complete", 0.25, {"x": 0.5, "n": 2})
    assert trial.metrics == {"loss": 0.25, "accuracy": 0.9}
    assert (trial.created_at, trial.started_at, trial.finished_at) == (STARTED, STARTED, FINISHED)
    assert (trial.drawn.sampler, trial.drawn.imported) == (None, "optuna:old/0")
    curve = server.client.trial_metrics("bowl", 0).items
    assert [(report.step, report.metrics["loss"]) for report in curve] == [(1, 0.5), (2, 0.25)]
    assert STARTED < curve[0].at < curve[1].at <= FINISHED
    assert server.client.study("bowl").best.number == 0
    assert [event.kind for event in server.client.events("bowl").items] == ["imported"]


@pytest.mark.usefixtures("bowl")
def test_what_is_known_is_not_imported_again(server: RunningServer) -> None:
    server.client.import_trials("bowl", [other(0), other(1)])
    again = server.client.import_trials("bowl", [other(1, metrics={"loss": 9.0}), other(2), other(2)]).items
    assert [(item.number, item.known) for item in again] == [(1, True), (2, False), (2, False)]
    assert server.client.trial("bowl", 1).value == 0.25
    assert sum(server.client.study("bowl").counts.values()) == 3


@pytest.mark.usefixtures("bowl")
def test_a_trial_that_does_not_fit_is_named_and_the_others_are_taken(server: RunningServer) -> None:
    asked = [
        other(0, params={"x": 3.0, "n": 2}),
        other(1, params={"x": 0.5}),
        other(2, metrics={"accuracy": 1.0}, reports=[]),
        other(3, state="failed", metrics={}, error="out of memory"),
        other(4, state="pruned", metrics={}),
        other(5, started_at=FINISHED, finished_at=STARTED),
        other(6, reports=[{"step": 1, "metrics": {}}, {"step": 1, "metrics": {}}]),
    ]
    items = server.client.import_trials("bowl", asked).items
    assert [item.code for item in items] == [*["contradiction"] * 3, None, None, *["contradiction"] * 2]
    assert "write a number from -1.0 to 1.0" in (items[0].detail or "")
    assert "needs the study's metric loss" in (items[2].detail or "")
    assert [item.number for item in items] == [None, None, None, 0, 1, None, None]
    failed, pruned = (server.client.trial("bowl", number) for number in (0, 1))
    assert (failed.state, failed.value, failed.error) == ("failed", None, "out of memory")
    assert (pruned.state, pruned.value) == ("pruned", 0.25)
    assert pruned.guess is not None


def test_samplers_see_imported_trials(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"search": {"sampler": "grid", "points": 4}, "budget": {"max_trials": 40}})
    first = server.client.ask("bowl").leases[0].params
    server.client.create_study(
        BOWL | {"name": "again", "search": {"sampler": "grid", "points": 4}, "budget": {"max_trials": 40}}
    )
    server.client.import_trials("again", [other(0, params=first)])
    assert server.client.ask("again").leases[0].params != first  # a grid tries no point again


@pytest.mark.usefixtures("bowl")
def test_imported_trials_need_numbers_of_the_budget(server: RunningServer) -> None:
    with pytest.raises(BudgetSpent, match="raise it to at least 5"):
        server.client.import_trials("bowl", [other(number) for number in range(5)])
    assert sum(server.client.study("bowl").counts.values()) == 0
    server.client.import_trials("bowl", [other(number) for number in range(4)])
    assert server.client.study("bowl").state == "completed"


def test_studies_that_take_no_imports_say_so(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"search": {"sampler": "random", "replicates": 2}})
    with pytest.raises(WrongState, match="has replicates: it takes no trials of other tools"):
        server.client.import_trials("bowl", [other(0)])
    server.client.patch_study("bowl", {"state": "cancelled"})
    server.client.create_study(BOWL | {"name": "steered", "mode": "panda"})
    with pytest.raises(WrongState, match="steers one model"):
        server.client.import_trials("steered", [other(0)])
