"""Live parameters are changed while a model trains. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import PANDA, ManualWorker, lost

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_change_is_answered_on_every_report_and_is_in_the_timeline_with_its_step(worker: ManualWorker) -> None:
    steered = worker.client.set_params("bear", 0, {"learning_rate": 0.01}, reason="it jumps")
    assert (steered.desired.version, steered.applied_version) == (1, None)
    assert worker.report(1, 0.5).params == {"learning_rate": 0.01}
    assert worker.entries() == [(1, "params", {"learning_rate": 0.01}, None, "pending")]

    worker.apply(1, 13)

    assert worker.entries() == [(1, "params", {"learning_rate": 0.01}, 13, "applied")]
    [entry] = worker.client.timeline("bear", 0).items
    assert (entry.actor, entry.reason) == ("local", "it jumps")
    trial = worker.client.trial("bear", 0)
    assert trial.params == {"learning_rate": 0.01, "keep_prob": 0.9}
    assert worker.client.timeline("bear", 0).start.params == PANDA["params"]


def test_a_change_merges_and_one_that_a_later_one_hides_was_never_in_force(
    worker: ManualWorker,
) -> None:
    worker.client.set_params("bear", 0, {"learning_rate": 0.01})
    worker.client.set_params("bear", 0, {"l2": 0.1, "beta1": 0.8})
    worker.client.set_params("bear", 0, {"learning_rate": 0.02, "l2": 0.2})

    assert worker.report(1, 0.5).params == {"learning_rate": 0.02, "l2": 0.2, "beta1": 0.8}
    worker.apply(3, 17)

    assert [state for *_, state in worker.entries()] == ["superseded", "applied", "applied"]
    changes = worker.client.timeline("bear", 0).schedule
    assert [one.model_dump() for one in changes] == [
        {"step": 17, "params": {"l2": 0.1, "beta1": 0.8}},
        {"step": 17, "params": {"learning_rate": 0.02, "l2": 0.2}},
    ]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"hidden_units": 10}, r"hidden_units cannot change while a model trains; these can: epochs, running_beta"),
        ({"learning_rate": -0.1}, "learning_rate must be a number greater than 0"),
        ({"learning_rate": True}, "learning_rate must be a number"),
        ({"colour": "red"}, "unknown trainer option 'colour'"),
        ({"keep_prob": [0.5, 0.5, 0.5]}, "keep_prob lists 3 values for 1 hidden layers"),
    ],
)
def test_a_change_that_is_not_live_or_out_of_its_range_is_refused_with_the_reason(
    worker: ManualWorker, params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        worker.client.set_params("bear", 0, params)
    assert worker.entries() == []


def test_of_two_who_steer_at_once_if_match_refuses_the_second(worker: ManualWorker, http: httpx.Client) -> None:
    first = worker.client.set_params("bear", 0, {"l2": 0.1}, if_version=0)

    with pytest.raises(errors.PreconditionFailed, match="is at version 1 of its desired state, not 0"):
        worker.client.set_params("bear", 0, {"l2": 0.2}, if_version=0)

    assert first.desired.version == 1
    assert [params for _, _, params, *_ in worker.entries()] == [{"l2": 0.1}]
    again = http.patch("/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.3}}, headers={"If-Match": '"1"'})
    assert (again.status_code, again.headers["ETag"]) == (202, '"2"')
    bad = http.patch("/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.3}}, headers={"If-Match": "abc"})
    assert bad.status_code == 422


@pytest.mark.fault("L11")
def test_a_trial_that_was_read_is_steered_if_nobody_else_has_steered_it(
    worker: ManualWorker, http: httpx.Client
) -> None:
    path = "/v1/studies/bear/trials/0"
    seen = http.get(path).headers["ETag"]
    worker.report(1, 0.5)
    assert http.get(path).headers["ETag"] == seen  # whoever reports does not steer

    answers = [http.post(f"{path}:{verb}", headers={"If-Match": seen}) for verb in ("pause", "resume")]

    assert [answer.status_code for answer in answers] == [202, 412]
    assert http.get(path).headers["ETag"] == answers[0].headers["ETag"] != seen
    assert http.post(f"{path}:resume", headers={"If-Match": answers[0].headers["ETag"]}).status_code == 202


def test_without_if_match_both_changes_stand_in_the_timeline_in_order(worker: ManualWorker) -> None:
    worker.client.set_params("bear", 0, {"l2": 0.1})
    worker.client.set_params("bear", 0, {"l2": 0.2})

    assert [(version, params) for version, _, params, *_ in worker.entries()] == [(1, {"l2": 0.1}), (2, {"l2": 0.2})]


def test_a_change_that_is_sent_again_under_its_key_has_one_effect(worker: ManualWorker, http: httpx.Client) -> None:
    for _ in range(2):
        answer = http.patch(
            "/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.1}}, headers={"Idempotency-Key": "k"}
        )
        assert answer.json()["desired"]["version"] == 1
    assert len(worker.entries()) == 1


def test_a_trial_that_has_finished_is_not_steered(worker: ManualWorker) -> None:
    worker.client.tell("bear", 0, 1, {"dev_error": 0.5})

    for verb in (worker.client.pause, worker.client.resume, worker.client.stop, worker.client.keep_checkpoint):
        with pytest.raises(errors.TrialFinished, match="promote or fork it"):
            verb("bear", 0)
    with pytest.raises(errors.TrialFinished):
        worker.client.set_params("bear", 0, {"l2": 0.1})
    assert worker.client.study("bear").state == "completed"


def test_a_change_unheard_at_the_end_is_superseded_but_more_epochs_let_it_go_on(
    worker: ManualWorker,
) -> None:
    worker.client.set_params("bear", 0, {"l2": 0.1})
    worker.client.set_params("bear", 0, {"epochs": 30})

    for _ in range(2):  # the same tell again has the same answer
        assert worker.client.tell("bear", 0, 1, {"dev_error": 0.5}).state == "queued"

    assert worker.client.late_results("bear").items == []
    assert worker.take().desired.params == {"l2": 0.1, "epochs": 30}
    worker.apply(2, 200)
    worker.client.set_params("bear", 0, {"l2": 0.2})
    assert worker.client.tell("bear", 0, 2, {"dev_error": 0.4}).state == "complete"
    assert [state for *_, state in worker.entries()] == ["applied", "applied", "superseded"]


@pytest.mark.fault("L11")
def test_what_a_dead_run_was_asked_counts_from_the_step_it_had_reached(
    server: RunningServer, trained: ManualWorker
) -> None:
    """Else the answer to a report would be in force while what was reported is trained again."""
    assert lost(server, trained).reached == 0  # all that was asked for is applied

    trained.report(5, 0.25)
    trained.client.set_params("bear", 0, {"l2": 0.9})
    resumed = lost(server, trained)
    assert (resumed.step, resumed.version, resumed.reached) == (40, 2, 50)

    trained.apply(3, 50)
    assert lost(server, trained).reached == 0
