"""Leases: hand-outs raise the fence, renewing revives, and what is lost is lost for a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import LeaseLost, TrialFinished
from sturgeon.messages import Desired, Lease, Trial
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer


def held(lease: Lease, **changes: Any) -> dict[str, Any]:
    return {"study": lease.study, "number": lease.number, "fence": lease.fence} | changes


def lost(server: RunningServer, lease: Lease) -> list[tuple[str, int, str]]:
    answer = server.client.renew("ada", [held(lease)])
    assert answer.held == []
    return [(one.study, one.number, one.reason) for one in answer.lost]


def test_a_lease_tells_all_that_a_worker_needs(server: RunningServer) -> None:
    server.client.create_study(DIGITS)

    [lease] = server.client.lease("ada").leases

    trial = server.client.trial("digits", 0)
    assert lease.model_dump() == {
        "study": "digits",
        "number": 0,
        "fence": 1,
        "attempt": 0,
        "seed": trial.seed,
        "params": trial.params,
        "task": {
            "kind": "train",
            "dataset": "digits",
            "epochs": 2,
            "hidden_units": 16,
            "checkpoints": {"best": 1, "last": 1, "every_s": 30.0, "every_epochs": None},
            "metric": "dev_error",
            "direction": "minimize",
            "reduce": "best",
        },
        "needs": {"gpus": 0, "memory_gb": None, "labels": []},
        "lease_s": 30.0,
        "desired": Desired().model_dump(),
        "mode": "caviar",
        "resume": None,
        "looks": {"rule": "curve", "epochs": 2.0, "eta": 3, "grace": 3},
        "stack": None,
    }
    assert (trial.state, trial.worker) == ("running", "ada")


def test_every_hand_out_raises_the_fence_and_keeps_params_and_seed(server: RunningServer, leased_trial: Lease) -> None:
    runs = [leased_trial]
    for worker in ("bob", "cleo"):
        server.client.release("bowl", runs[-1].number, runs[-1].fence)
        runs += server.client.ask("bowl", worker=worker).leases

    assert [run.fence for run in runs] == [1, 2, 3]
    assert {(run.number, run.seed, *run.params.items()) for run in runs} == {
        (0, leased_trial.seed, *leased_trial.params.items())
    }


def test_renewing_extends_a_lease(server: RunningServer, leased_trial: Lease) -> None:
    for _ in range(3):
        server.advance(seconds=59)
        [renewed] = server.client.renew("ada", [held(leased_trial)]).held
        server.expire_leases()

    assert renewed.model_dump() == {
        "study": "bowl",
        "number": 0,
        "fence": 1,
        "lease_s": 60.0,
        "desired": Desired().model_dump(),
    }
    assert server.client.trial("bowl", 0).state == "running"


def test_renewing_revives_a_lease_that_ran_out_and_that_nobody_took(
    server: RunningServer, expired_trial: Lease
) -> None:
    assert server.client.trial("bowl", 0).state == "queued"

    assert [one.number for one in server.client.renew("ada", [held(expired_trial)]).held] == [0]

    assert server.client.trial("bowl", 0).state == "running"
    assert server.client.ask("bowl").leases[0].number == 1
    assert server.client.tell("bowl", 0, expired_trial.fence, {"loss": 1.0}).state == "complete"


def test_a_taken_lease_is_lost_as_taken(server: RunningServer, taken_trial: Lease) -> None:
    assert lost(server, taken_trial) == [("bowl", 0, "taken")]
    assert server.client.trial("bowl", 0).worker == "bob"


def test_a_cancelled_lease_is_lost_as_cancelled(server: RunningServer, leased_trial: Lease) -> None:
    server.client.cancel("bowl", 0)

    assert lost(server, leased_trial) == [("bowl", 0, "cancelled")]


def test_a_deleted_studys_lease_is_lost_as_cancelled(server: RunningServer, leased_trial: Lease) -> None:
    server.client.delete_study("bowl", force=True)

    assert lost(server, leased_trial) == [("bowl", 0, "cancelled")]


def test_a_lease_that_ran_out_for_the_last_time_is_lost_as_expired(server: RunningServer, expired_trial: Lease) -> None:
    lease = expired_trial
    for _ in range(2):
        [lease] = server.client.ask("bowl", lease_s=10).leases
        server.advance(seconds=11)
        server.expire_leases()

    assert server.client.trial("bowl", 0).state == "failed"
    assert lost(server, lease) == [("bowl", 0, "expired")]


def test_a_released_lease_cannot_come_back(server: RunningServer, leased_trial: Lease) -> None:
    server.client.release("bowl", 0, leased_trial.fence)

    assert lost(server, leased_trial) == [("bowl", 0, "expired")]
    assert server.client.trial("bowl", 0).state == "queued"


def test_leases_of_many_studies_are_renewed_in_one_call(server: RunningServer, leased_trial: Lease) -> None:
    server.client.create_study(BOWL | {"name": "other"})
    [other] = server.client.ask("other", lease_s=60).leases
    server.client.cancel("bowl", 0)

    answer = server.client.renew(
        "ada", [held(leased_trial), held(other), held(other, number=3), held(other, study="none")]
    )

    assert [(one.study, one.number) for one in answer.held] == [("other", 0)]
    assert [(one.study, one.number, one.reason) for one in answer.lost] == [
        ("bowl", 0, "cancelled"),
        ("other", 3, "cancelled"),
        ("none", 0, "cancelled"),
    ]


def test_a_release_gives_the_trial_back_and_spends_no_attempt(server: RunningServer, leased_trial: Lease) -> None:
    released = server.client.release("bowl", 0, leased_trial.fence)
    again = server.client.release("bowl", 0, leased_trial.fence)

    assert (released.state, released.attempt, released.worker) == ("queued", 0, None)
    assert again == released
    [lease] = server.client.ask("bowl").leases
    assert (lease.number, lease.fence, lease.attempt) == (0, 2, 0)


def test_a_release_under_an_old_fence_changes_nothing(server: RunningServer, taken_trial: Lease) -> None:
    with pytest.raises(LeaseLost):
        server.client.release("bowl", 0, taken_trial.fence)

    assert (server.client.trial("bowl", 0).state, server.client.trial("bowl", 0).worker) == ("running", "bob")


def test_a_queued_trial_has_no_holder(server: RunningServer, queued_trial: Trial) -> None:
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", queued_trial.number, 1, {"loss": 1.0})

    assert server.client.trial("bowl", queued_trial.number) == queued_trial


# --- workers ---


@pytest.mark.usefixtures("bowl")
def test_workers_get_trials_of_studies_with_a_task_only(server: RunningServer) -> None:
    nothing = server.client.lease("ada", slots=3)
    assert (nothing.leases, nothing.reason) == ([], "waiting")
    server.client.create_study(DIGITS)

    assert [(lease.study, lease.number) for lease in server.client.lease("ada", slots=3).leases] == [
        ("digits", 0),
        ("digits", 1),
        ("digits", 2),
    ]


def test_workers_get_queued_trials_first_then_the_study_with_the_fewest_running(
    server: RunningServer,
) -> None:
    for name in ("one", "two"):
        server.client.create_study(DIGITS | {"name": name})
    server.client.enqueue("two", {"learning_rate": 0.5})

    got = [server.client.lease("ada").leases[0] for _ in range(4)]

    assert [(lease.study, lease.number) for lease in got] == [("two", 0), ("one", 0), ("one", 1), ("two", 1)]


def test_a_worker_that_drains_gets_nothing_and_keeps_what_it_has(server: RunningServer) -> None:
    server.client.create_study(DIGITS)
    [lease] = server.client.lease("ada").leases
    assert server.client.drain_worker("ada").drain

    assert server.client.lease("ada").leases == []
    assert len(server.client.lease("bob").leases) == 1
    renewed = server.client.renew("ada", [held(lease)])
    assert (renewed.drain, [one.number for one in renewed.held]) == (True, [0])
    assert server.client.renew("bob", []).drain is False


def test_a_worker_that_comes_back_after_a_minute_drains_no_more(server: RunningServer) -> None:
    server.client.create_study(DIGITS)
    server.client.lease("ada")
    server.client.drain_worker("ada")
    server.advance(seconds=61)

    assert len(server.client.lease("ada").leases) == 1


def test_a_person_takes_a_trial_from_a_holder_that_is_gone(server: RunningServer, leased_trial: Lease) -> None:
    server.client.report("bowl", 0, leased_trial.fence, [{"step": 1, "metrics": {"loss": 1}}])

    released = server.client.release("bowl", 0, None)

    assert (released.state, released.attempt, released.worker) == ("queued", 0, None)
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, leased_trial.fence, {"loss": 1})
    assert lost(server, leased_trial) == [("bowl", 0, "taken")]
    assert [lease.number for lease in server.client.ask("bowl", worker="bob").leases] == [0]
    [event] = [event for event in server.client.events("bowl").items if event.kind == "released"]
    assert (event.number, event.detail) == (0, {"worker": "ada"})


def test_what_nobody_holds_stays_when_a_person_releases_it(server: RunningServer, expired_trial: Lease) -> None:
    """Its holder may come back to it."""
    assert server.client.release("bowl", 0, None).state == "queued"
    assert server.client.tell("bowl", 0, expired_trial.fence, {"loss": 1}).state == "complete"

    with pytest.raises(TrialFinished, match="nothing to release"):
        server.client.release("bowl", 0, None)


def test_a_release_by_a_person_that_is_sent_again_takes_no_other_run(
    server: RunningServer, http: httpx.Client, leased_trial: Lease
) -> None:
    key = {"Idempotency-Key": "once"}
    path, body = f"/v1/studies/bowl/trials/{leased_trial.number}:release", {"fence": None}
    first = http.post(path, json=body, headers=key)
    server.client.ask("bowl", worker="bob")

    assert http.post(path, json=body, headers=key).json() == first.json()
    assert server.client.trial("bowl", 0).worker == "bob"


def test_a_release_names_its_fence_or_none(http: httpx.Client, leased_trial: Lease) -> None:
    answer = http.post(f"/v1/studies/bowl/trials/{leased_trial.number}:release", json={})

    assert answer.json()["errors"] == [{"pointer": "/fence", "detail": "fence: it is missing"}]


def test_a_trial_that_was_to_stop_ends_when_a_person_takes_it(server: RunningServer, leased_trial: Lease) -> None:
    server.client.report("bowl", 0, leased_trial.fence, [{"step": 1, "metrics": {"loss": 3}}])
    server.client.stop("bowl", 0)

    assert server.client.release("bowl", 0, None).state == "complete"
