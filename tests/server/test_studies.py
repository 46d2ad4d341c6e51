"""Creating, reading, changing and deleting studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from sturgeon.errors import Invalid, NotFound, StudyBusy, StudyExists
from sturgeon.messages import Lease, Study
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer

CREATED = {
    "name": "bowl",
    "title": "",
    "state": "active",
    "metric": "loss",
    "direction": "minimize",
    "reduce": "last",
    "space": {
        "x": {"type": "float", "low": -1.0, "high": 1.0, "scale": "linear"},
        "n": {"type": "int", "low": 1, "high": 4, "step": 1, "scale": "linear"},
    },
    "search": {"sampler": "random", "model": None, "cost_aware": None, "points": None, "seed": 7, "replicates": 1},
    "pruning": {"rule": "none", "eta": None, "grace": None, "power": None, "epochs": None},
    "budget": {"max_trials": 4, "max_epochs": None, "max_seconds": None, "stop_when": None},
    "task": None,
    "needs": {"gpus": 0, "memory_gb": None, "labels": []},
    "mode": "caviar",
    "policies": [],
    "constraints": [],
    "tags": [],
    "notes": "",
    "code_version": None,
    "data_version": None,
    "changes": [],
    "revision": 0,
    "counts": {},
    "spent": {"trials": 0, "epochs": 0.0, "seconds": 0.0, "limit": None},
    "best": None,
    "unable": [],
    "waits_for": None,
    "created_at": "2026-01-01T12:00:00Z",
}


def test_a_study_is_created_and_read(http: httpx.Client) -> None:
    created = http.post("/v1/studies", json=BOWL)

    assert (created.status_code, created.headers["location"]) == (201, "/v1/studies/bowl")
    assert created.json() == CREATED
    assert http.get("/v1/studies/bowl").json() == CREATED


def test_a_study_that_was_read_can_be_created_again_under_another_name(server: RunningServer) -> None:
    server.client.create_study(DIGITS)
    found = {"state", "revision", "counts", "spent", "best", "unable", "waits_for", "created_at"}
    found |= {"data_version", "changes"}
    read = server.client.study("digits").model_dump(mode="json", exclude=found)

    copy = server.client.create_study(read | {"name": "copy"})

    assert copy.model_dump(exclude={"name"}) == server.client.study("digits").model_dump(exclude={"name"})


def test_a_study_without_a_seed_is_given_one_that_stays(server: RunningServer) -> None:
    seeds = [
        server.client.create_study(BOWL | {"name": name, "search": {"sampler": "random"}}).search.seed
        for name in ("one", "two")
    ]

    assert [server.client.study(name).search.seed for name in ("one", "two")] == seeds
    assert seeds[0] != seeds[1]


def test_two_studies_have_not_the_same_name(server: RunningServer, bowl: Study) -> None:
    with pytest.raises(StudyExists, match=f"A study named {bowl.name} exists already"):
        server.client.create_study(BOWL | {"metric": "other"})

    assert server.client.study("bowl") == bowl


def test_a_study_counts_its_trials_by_state_and_shows_the_best(server: RunningServer, finished_trial: Lease) -> None:
    server.client.ask("bowl", count=2)
    server.client.enqueue("bowl", {"x": 0, "n": 1})

    study = server.client.study("bowl")

    assert study.counts == {"complete": 1, "running": 2, "queued": 1}
    assert study.best is not None
    assert study.best.model_dump() == {
        "number": 0,
        "value": 0.25,
        "params": finished_trial.params,
        "metrics": {"loss": 0.25},
        "replicates": None,
    }


def test_a_title_is_changed_and_all_else_stays(server: RunningServer, bowl: Study) -> None:
    changed = server.client.patch_study("bowl", {"title": "Größe 'x'; DROP TABLE studies --"})

    assert changed == bowl.model_copy(update={"title": "Größe 'x'; DROP TABLE studies --"})
    assert server.client.study("bowl") == changed


@pytest.mark.usefixtures("bowl")
def test_the_best_are_listed_from_the_best_and_equals_by_number(server: RunningServer) -> None:
    leases = server.client.ask("bowl", count=4).leases
    for lease, loss in zip(leases, [0.5, 0.25, 0.25, 0.75], strict=True):
        server.client.tell("bowl", lease.number, lease.fence, {"loss": loss, "other": 1})

    best = server.client.best("bowl", k=3)

    assert [(item.number, item.value) for item in best.items] == [(1, 0.25), (2, 0.25), (0, 0.5)]
    assert best.items[0].params == leases[1].params
    assert best.items[0].metrics == {"loss": 0.25, "other": 1.0}


def test_the_best_of_a_study_that_maximises_are_the_largest(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"direction": "maximize"})
    for loss in [0.5, 0.75, 0.25]:
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": loss})

    assert [item.value for item in server.client.best("bowl", k=9).items] == [0.75, 0.5, 0.25]
    best = server.client.study("bowl").best
    assert best is not None
    assert best.number == 1


@pytest.mark.usefixtures("bowl")
def test_only_complete_trials_are_among_the_best(server: RunningServer) -> None:
    for state in ("pruned", "diverged", "failed"):
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.0}, state=state)

    assert server.client.best("bowl", k=9).items == []
    assert server.client.study("bowl").best is None


# --- delete ---


def test_a_deleted_study_is_gone_with_all_that_it_had(server: RunningServer, finished_trial: Lease) -> None:
    server.client.delete_study("bowl")

    with pytest.raises(NotFound, match="There is no study named bowl"):
        server.client.study("bowl")
    with pytest.raises(NotFound):
        server.client.trial("bowl", finished_trial.number)
    assert server.client.create_study(BOWL).counts == {}
    assert server.client.ask("bowl").leases[0].number == 0


def test_a_study_is_not_deleted_while_trials_run_unless_by_force(server: RunningServer, leased_trial: Lease) -> None:
    with pytest.raises(StudyBusy, match=r"1 trial is running in bowl; .*--force"):
        server.client.delete_study("bowl")
    assert server.client.trial("bowl", leased_trial.number).state == "running"

    server.client.delete_study("bowl", force=True)

    with pytest.raises(NotFound):
        server.client.study("bowl")


def test_no_study_no_answer_but_404(http: httpx.Client) -> None:
    routes = [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/best"),
        ("GET", "/events"),
        ("GET", "/revisions"),
        ("GET", "/late-results"),
        ("GET", "/trials"),
        ("GET", "/trials?format=csv"),
        ("GET", "/trials/0"),
        ("GET", "/trials/0/metrics"),
        ("GET", "/trials/0/checkpoints"),
        ("GET", "/trials/0/checkpoints/1"),
        ("POST", "/trials/0:cancel"),
        ("POST", "/trials/0:requeue"),
    ]
    answers = [
        http.request(method, f"/v1/studies/none{path}", json={} if method == "PATCH" else None)
        for method, path in routes
    ]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [
        (404, "There is no study named none.") for _ in routes
    ]


@pytest.mark.usefixtures("bowl")
def test_a_budget_below_what_was_given_out_is_refused(server: RunningServer) -> None:
    server.client.ask("bowl", count=3)

    with pytest.raises(Invalid, match="3 trials were given out already: write at least 3") as refused:
        server.client.patch_study("bowl", {"budget": {"max_trials": 2}})

    assert [error.pointer for error in refused.value.errors] == ["/budget/max_trials"]
    assert server.client.study("bowl").budget.max_trials == 4
