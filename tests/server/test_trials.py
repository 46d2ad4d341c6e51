"""What people do with trials: enqueue, cancel, requeue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import Invalid, NotFound, TrialFinished, WrongState
from sturgeon.messages import Lease
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.mark.usefixtures("bowl")
def test_given_parameters_make_a_queued_trial(http: httpx.Client) -> None:
    answer = http.post("/v1/studies/bowl/trials", json={"params": {"n": 2, "x": 1}})

    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/studies/bowl/trials/0")
    trial = answer.json()
    assert 0 <= trial.pop("seed") < 2**63
    assert trial == {
        "study": "bowl",
        "number": 0,
        "state": "queued",
        "mode": "caviar",
        "params": {"x": 1, "n": 2},
        "attempt": 0,
        "value": None,
        "metrics": {},
        "step": None,
        "where": None,
        "error": None,
        "worker": None,
        "parent": None,
        "group": None,
        "desired": None,
        "applied_version": None,
        "applied_step": None,
        "dataset": None,
        "findings": {},
        "logs": 0,
        "tags": [],
        "notes": "",
        "code_version": None,
        "data_version": None,
        "invalid": None,
        "drawn": {
            "sampler": None,
            "basis": 0,
            "revision": 0,
            "version": None,
            "round": None,
            "elite": None,
            "level": None,
            "model": None,
            "fallback": None,
            "imported": None,
            "numerics": None,
        },
        "created_at": "2026-01-01T12:00:00Z",
        "started_at": None,
        "finished_at": None,
        "guess": None,
    }
    read = http.get("/v1/studies/bowl/trials/0").json()
    assert read == answer.json()


@pytest.mark.usefixtures("bowl")
@pytest.mark.parametrize(
    ("params", "pointer", "sentence"),
    [
        ({"x": 2, "n": 1}, "/params/x", "x: write a number from -1.0 to 1.0"),
        ({"x": 0}, "/params/n", "n: a value is missing"),
        ({"x": 0, "n": 1, "m": 1}, "/params/m", "m: no such parameter; the parameters are x, n"),
        ({"x": 0, "n": 1.0}, "/params/n", "n: write an integer from 1 to 4"),
        ({"x": "0", "n": 1}, "/params/x", "x: write a number from -1.0 to 1.0"),
    ],
    ids=str,
)
def test_given_parameters_that_do_not_fit_are_refused_and_take_no_number(
    server: RunningServer, params: dict[str, Any], pointer: str, sentence: str
) -> None:
    with pytest.raises(Invalid) as refused:
        server.client.enqueue("bowl", params)

    assert [tuple(error) for error in refused.value.errors] == [(pointer, sentence)]
    assert server.client.ask("bowl").leases[0].number == 0


def test_given_parameters_are_handed_out_with_the_fixed_values(server: RunningServer) -> None:
    space = BOWL["space"] | {"k": {"type": "fixed", "value": "v"}}
    server.client.create_study(BOWL | {"space": space})
    server.client.enqueue("bowl", {"x": 0.5, "n": 2})

    given, drawn = (server.client.ask("bowl").leases[0] for _ in range(2))

    assert given.params == {"x": 0.5, "n": 2, "k": "v"}
    assert drawn.params.keys() == {"x", "n", "k"}


def test_drawn_parameters_lie_in_the_space_and_are_those_of_the_preview(server: RunningServer) -> None:
    server.client.create_study(BOWL)

    drawn = [lease.params for lease in server.client.ask("bowl", count=4).leases]

    assert drawn == server.client.preview(BOWL["space"], seed=7, examples=4).examples
    assert all(-1 <= params["x"] <= 1 and params["n"] in (1, 2, 3, 4) for params in drawn)


# --- cancel and requeue ---


def test_a_cancelled_trial_runs_again_when_a_person_requeues_it(server: RunningServer, leased_trial: Lease) -> None:
    server.client.cancel("bowl", 0)

    requeued = server.client.requeue("bowl", 0)

    assert (requeued.state, requeued.attempt, requeued.worker, requeued.finished_at) == ("queued", 0, None, None)
    [lease] = server.client.ask("bowl").leases
    assert (lease.number, lease.params, lease.seed) == (0, leased_trial.params, leased_trial.seed)
    assert lease.fence == leased_trial.fence + 3  # cancelled, requeued, handed out


@pytest.mark.usefixtures("bowl")
def test_a_failed_trial_runs_again_with_attempts_from_0(server: RunningServer) -> None:
    for fence in (1, 2, 3):
        server.client.ask("bowl")
        server.client.tell("bowl", 0, fence, {"loss": None}, state="failed", error="no memory", where="step 3")
    assert server.client.trial("bowl", 0).state == "failed"

    requeued = server.client.requeue("bowl", 0)

    assert (requeued.state, requeued.attempt) == ("queued", 0)
    assert (requeued.error, requeued.where, requeued.metrics, requeued.value) == (None, None, {}, None)
    server.client.ask("bowl")
    assert server.client.tell("bowl", 0, 5, state="failed").state == "queued"
    events = server.client.events("bowl").items
    assert [(event.kind, event.detail) for event in events] == [
        ("failed", {"attempts": 3, "reason": "no memory"}),
        ("requeued", {"was": "failed"}),
    ]


@pytest.mark.usefixtures("bowl")
@pytest.mark.parametrize("state", ["complete", "pruned", "diverged"])
def test_a_result_stays(server: RunningServer, state: Any) -> None:
    server.client.ask("bowl")
    told = server.client.tell("bowl", 0, 1, {"loss": 1.0}, state=state)

    with pytest.raises(WrongState, match=f"Trial 0 is {state}; only failed and cancelled trials run again"):
        server.client.requeue("bowl", 0)
    with pytest.raises(TrialFinished, match=f"Trial 0 is {state} already; it cannot be cancelled"):
        server.client.cancel("bowl", 0)

    assert server.client.trial("bowl", 0) == told


@pytest.mark.usefixtures("leased_trial")
def test_a_running_or_queued_trial_is_not_requeued(server: RunningServer) -> None:
    server.client.enqueue("bowl", {"x": 0, "n": 1})

    for number, state in enumerate(("running", "queued")):
        with pytest.raises(WrongState, match=f"Trial {number} is {state}"):
            server.client.requeue("bowl", number)


@pytest.mark.usefixtures("bowl")
def test_a_trial_that_was_never_given_is_not_found(server: RunningServer) -> None:
    for move in (server.client.cancel, server.client.requeue, server.client.trial):
        with pytest.raises(NotFound, match="The study bowl has no trial 0"):
            move("bowl", 0)
