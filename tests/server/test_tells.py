"""The end of a trial, told once, twice, wrongly, and for many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.errors import Invalid, LeaseLost, NotFound, TrialFinished
from sturgeon.messages import Lease
from sturgeon.search.memo import Memo
from sturgeon.search.numerics import numerics
from sturgeon.search.registry import SAMPLERS
from sturgeon.values import Json
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_told_trial_is_complete_with_all_that_was_told(server: RunningServer, leased_trial: Lease) -> None:
    server.advance(seconds=30)
    told = server.client.tell("bowl", 0, 1, {"loss": 0.25, "hours": 2, "odd": None}, step=900, where="here")

    assert told.model_dump(mode="json") == {
        "study": "bowl",
        "number": 0,
        "state": "complete",
        "mode": "caviar",
        "params": leased_trial.params,
        "seed": leased_trial.seed,
        "attempt": 0,
        "value": 0.25,
        "metrics": {"loss": 0.25, "hours": 2.0, "odd": None},
        "step": 900,
        "where": "here",
        "error": None,
        "worker": "ada",
        "parent": None,
        "group": None,
        "invalid": None,
        "drawn": {
            "sampler": "random",
            "basis": 0,
            "revision": 0,
            "version": SAMPLERS["random"]({}, Memo()).version,
            "round": None,
            "elite": None,
            "level": None,
            "model": None,
            "fallback": None,
            "imported": None,
            "numerics": numerics().fingerprint,
        },
        "created_at": "2026-01-01T12:00:00Z",
        "started_at": "2026-01-01T12:00:00Z",
        "finished_at": "2026-01-01T12:00:30Z",
        "guess": None,
        "findings": {},
        "logs": 0,
        "desired": None,
        "applied_version": None,
        "applied_step": None,
        "dataset": None,
        "tags": [],
        "notes": "",
        "code_version": None,
        "data_version": None,
    }
    assert server.client.trial("bowl", 0) == told


@pytest.mark.usefixtures("leased_trial")
def test_the_same_tell_twice_is_answered_twice(server: RunningServer) -> None:
    first = server.client.tell("bowl", 0, 1, {"loss": 0.25}, step=3)
    server.advance(seconds=1000)

    assert server.client.tell("bowl", 0, 1, {"loss": 0.25}, step=3) == first


@pytest.mark.parametrize(
    "other",
    [
        {"metrics": {"loss": 0.5}},
        {"metrics": {"loss": 0.25, "more": 1}},
        {"metrics": {"loss": 0.25}, "step": 4},
        {"metrics": {"loss": 0.25}, "state": "pruned"},
        {"state": "failed"},
    ],
    ids=str,
)
def test_another_tell_finds_the_trial_finished(
    server: RunningServer, finished_trial: Lease, other: dict[str, Any]
) -> None:
    before = server.client.trial("bowl", 0)

    with pytest.raises(TrialFinished, match="Trial 0 is complete already; its result does not change any more"):
        server.client.tell("bowl", 0, finished_trial.fence, **other)

    assert server.client.trial("bowl", 0) == before


@pytest.mark.parametrize("metrics", [{}, {"other": 1.0}, {"loss": None}], ids=str)
@pytest.mark.usefixtures("leased_trial")
def test_a_complete_trial_needs_the_studys_metric(server: RunningServer, metrics: dict[str, float | None]) -> None:
    with pytest.raises(
        Invalid, match=r'a complete trial needs the study\'s metric loss .* tell {"state": "diverged"}'
    ) as e:
        server.client.tell("bowl", 0, 1, metrics)

    assert [error.pointer for error in e.value.errors] == ["/metrics/loss"]
    assert server.client.trial("bowl", 0).state == "running"


@pytest.mark.parametrize(("state", "value"), [("pruned", 0.5), ("diverged", None)])
@pytest.mark.usefixtures("bowl")
def test_a_trial_that_did_not_complete_needs_no_metric(server: RunningServer, state: Any, value: float | None) -> None:
    with_metric, without = server.client.ask("bowl", count=2).leases

    told = server.client.tell("bowl", with_metric.number, 1, {"loss": 0.5}, state=state)
    assert (told.state, told.value) == (state, value)
    told = server.client.tell("bowl", without.number, 1, state=state, where="layer 3")
    assert (told.state, told.value, told.where) == (state, None, "layer 3")


def test_best_of_a_study_that_reduces_is_over_the_reports_and_the_tell(server: RunningServer) -> None:
    for direction, values in {"minimize": [0.25, 0.125], "maximize": [0.75, 0.875]}.items():
        study = f"reduce-{direction}"
        server.client.create_study(BOWL | {"name": study, "direction": direction, "reduce": "best"})
        first, second, third = server.client.ask(study, count=3).leases
        reports = [{"step": s, "metrics": {"loss": v}} for s, v in enumerate([0.5, values[0], None, 0.5])]
        server.client.report(study, first.number, 1, reports)
        server.client.report(study, second.number, 1, reports)
        server.client.report(study, third.number, 1, reports)

        told = [
            server.client.tell(study, first.number, 1, {"loss": 0.5}),
            server.client.tell(study, second.number, 1, {"loss": values[1]}),
            server.client.tell(study, third.number, 1, {}),
        ]

        assert [trial.value for trial in told] == [values[0], values[1], values[0]]


@pytest.mark.fault("W10")
@pytest.mark.parametrize("checkpoints", [None, {"best": 0, "last": 1}, {"best": 1, "last": 1}])
@pytest.mark.parametrize(
    ("given", "chosen"), [({}, "best"), ({"reduce": "best"}, "best"), ({"reduce": "last"}, "last")]
)
def test_what_a_train_task_tells_is_a_field_that_checkpoints_do_not_change(
    server: RunningServer, checkpoints: Json | None, given: Json, chosen: str
) -> None:
    server.client.create_study(DIGITS | {"task": DIGITS["task"] | {"checkpoints": checkpoints}} | given)
    [lease] = server.client.lease("rig").leases
    reports = [{"step": e, "epoch": e, "metrics": {"dev_error": v}} for e, v in ((1, 0.5), (2, 0.25), (3, 0.375))]
    server.client.report("digits", lease.number, lease.fence, reports)
    metrics = {"best": 0.25, "last": 0.375}

    told = server.client.tell("digits", lease.number, lease.fence, {"dev_error": metrics[chosen]}, step=3)

    assert server.client.study("digits").reduce == chosen
    assert lease.task is not None
    assert lease.task["reduce"] == chosen
    assert told.value == metrics[chosen]


@pytest.mark.fault("W10")
def test_own_code_and_a_stream_tell_their_last_score_unless_said_otherwise(server: RunningServer) -> None:
    stream = DIGITS | {"task": {"kind": "train", "dataset": "stream:clicks", "epochs": 5}}

    assert server.client.create_study(BOWL).reduce == "last"
    assert server.client.create_study(BOWL | {"name": "own", "reduce": "best"}).reduce == "best"
    assert server.client.create_study(stream).reduce == "last"
    with pytest.raises(Invalid, match="of the errors on different portions of a stream none is the best"):
        server.client.create_study(stream | {"name": "best", "reduce": "best"})


@pytest.mark.usefixtures("leased_trial")
def test_a_value_is_the_metric_of_the_tell_where_a_study_does_not_reduce(server: RunningServer) -> None:
    server.client.report("bowl", 0, 1, [{"step": 1, "metrics": {"loss": 0.125}}])

    assert server.client.tell("bowl", 0, 1, {"loss": 0.5}).value == 0.5


# --- failed ---


@pytest.mark.usefixtures("bowl")
def test_a_failed_run_waits_again_and_the_third_fails_the_trial(server: RunningServer) -> None:
    told = []
    for fence in (1, 2, 3):
        [lease] = server.client.ask("bowl").leases
        assert (lease.number, lease.fence) == (0, fence)
        first = server.client.tell("bowl", 0, fence, state="failed", error="out of memory")
        assert server.client.tell("bowl", 0, fence, state="failed", error="out of memory") == first
        told.append((first.state, first.attempt, first.error))

    assert told == [("queued", 1, "out of memory"), ("queued", 2, "out of memory"), ("failed", 3, "out of memory")]
    assert server.client.ask("bowl").leases[0].number == 1


def test_a_released_run_cannot_say_that_it_failed(server: RunningServer, leased_trial: Lease) -> None:
    server.client.release("bowl", 0, leased_trial.fence)

    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, leased_trial.fence, state="failed")

    assert [late.kind for late in server.client.late_results("bowl").items] == ["tell"]


# --- many ---


@pytest.mark.usefixtures("bowl")
def test_many_tells_have_each_their_own_outcome(server: RunningServer) -> None:
    leases = server.client.ask("bowl", count=4, lease_s=60).leases
    server.client.tell("bowl", 1, 1, {"loss": 0.5})
    server.client.cancel("bowl", 2)
    answer = server.client.tell_many(
        "bowl",
        [
            {"number": 0, "fence": 1, "metrics": {"loss": 0.25}},
            {"number": 0, "fence": 1, "metrics": {"loss": 0.25}},
            {"number": 1, "fence": 1, "metrics": {"loss": 0.75}},
            {"number": 2, "fence": 1, "metrics": {"loss": 1.0}},
            {"number": 3, "fence": 1},
            {"number": 9, "fence": 1, "metrics": {"loss": 1.0}},
            {"number": 3, "fence": 1, "state": "diverged"},
        ],
    )

    assert [(item.number, item.code, item.trial and item.trial.state) for item in answer.items] == [
        (0, None, "complete"),
        (0, None, "complete"),
        (1, "trial_finished", None),
        (2, "lease_lost", None),
        (3, "contradiction", None),
        (9, "not_found", None),
        (3, None, "diverged"),
    ]
    assert all(bool(item.detail) == bool(item.code) for item in answer.items)
    assert answer.items[0].trial == server.client.trial("bowl", leases[0].number)
    assert [(late.number, late.body["metrics"]) for late in server.client.late_results("bowl").items] == [
        (2, {"loss": 1.0})
    ]
    assert server.client.study("bowl").state == "completed"


def test_many_tells_of_no_study_are_refused(server: RunningServer) -> None:
    with pytest.raises(NotFound, match="There is no study named none"):
        server.client.tell_many("none", [{"number": 0, "fence": 1, "state": "diverged"}])
