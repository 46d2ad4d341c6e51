"""Forks and promotions. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import PANDA, ManualWorker

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_fork_goes_on_from_one_checkpoint_with_changes_and_a_control(
    trained: ManualWorker,
) -> None:
    branches = trained.client.fork("bear", 0, [{"learning_rate": 0.2}, {"l2": 0.0}], step=40, reason="which one?")

    assert [one.number for one in branches] == [1, 2, 3]
    kept = {"learning_rate": 0.1, "keep_prob": 0.9, "l2": 0.1}
    assert [one.params for one in branches] == [kept | {"learning_rate": 0.2}, kept | {"l2": 0.0}, kept]
    assert {(one.state, one.mode, one.seed) for one in branches} == {("queued", "panda", trained.lease.seed)}
    assert {(one.parent.number, one.parent.step) for one in branches if one.parent} == {(0, 40)}

    lease = trained.take(2)
    assert lease.resume is not None
    assert (lease.resume.number, lease.resume.step) == (2, 40)
    [change] = lease.resume.timeline
    assert (change.step, change.params) == (40, kept | {"l2": 0.0})
    assert trained.client.checkpoint("bear", 2, 40) == trained.client.checkpoint("bear", 0, 40)


def test_a_branch_needs_nothing_of_its_parent_any_more(trained: ManualWorker) -> None:
    trained.client.fork("bear", 0, [{"l2": 0.3}], step=40, control=False)
    content = trained.client.checkpoint("bear", 0, 40)
    trained.client.rollback("bear", 0, step=20)
    trained.apply(3, 20)

    assert trained.client.checkpoint("bear", 1, 40) == content
    timeline = trained.client.timeline("bear", 1)
    assert [(one.number, one.step) for one in timeline.lineage] == [(0, 40)]
    assert (timeline.start.number, timeline.start.params) == (0, PANDA["params"])
    assert [(one.step, one.params.get("l2")) for one in timeline.schedule] == [(30, 0.1), (40, 0.3)]


def test_a_rollback_of_a_branch_to_its_beginning_keeps_what_makes_it_one(trained: ManualWorker) -> None:
    trained.client.fork("bear", 0, [{"l2": 0.3}], step=40, control=False)
    trained.take(1)
    trained.client.set_params("bear", 1, {"l2": 0.5})
    trained.apply(1, 50)

    desired = trained.client.rollback("bear", 1, step=40).desired
    assert desired.params == {"learning_rate": 0.1, "keep_prob": 0.9, "l2": 0.3}
    trained.apply(2, 40)
    assert [(one.step, one.params.get("l2")) for one in trained.client.timeline("bear", 1).schedule][-1] == (40, 0.3)
    with pytest.raises(errors.NotFound, match="no checkpoint of step 0 to go back to; it has: 40"):
        trained.client.rollback("bear", 1, step=0)


def test_the_best_of_a_caviar_is_promoted_to_a_panda(server: RunningServer) -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name not in ("params", "mode")}
    server.client.create_study(study | {"space": space, "budget": {"max_trials": 1}})
    [lease] = server.client.lease("ada").leases
    for step, value in ((100, 0.3), (150, 0.1), (200, 0.2)):
        server.client.put_checkpoint("bear", 0, step, b"%d" % step, lease.fence, step / 10, value)
    server.client.tell("bear", 0, lease.fence, {"dev_error": 0.1})
    assert server.client.study("bear").state == "completed"

    with pytest.raises(errors.BudgetSpent, match='"raise_budget": true'):
        server.client.promote("bear", 0)
    panda = server.client.promote("bear", 0, {"epochs": 40}, raise_budget=True)

    assert (panda.number, panda.mode, panda.parent and panda.parent.step) == (1, "panda", 150)
    assert panda.params == lease.params | {"epochs": 40}
    study_now = server.client.study("bear")
    assert (study_now.state, study_now.budget.max_trials) == ("active", 2)
    assert server.client.trial("bear", 0).state == "complete"
    leases = server.client.lease("ada", 10).leases
    assert [(one.number, one.resume and one.resume.step) for one in leases] == [(1, 150)]


def test_a_branch_without_epochs_left_is_refused_and_the_control_trains_as_long(
    worker: ManualWorker,
) -> None:
    worker.upload(200, 0.1)
    worker.client.tell("bear", 0, 1, {"dev_error": 0.1})

    with pytest.raises(errors.Invalid, match="the checkpoint has done all 20; write more, for example 40"):
        worker.client.fork("bear", 0, [{"l2": 0.1}])
    branches = worker.client.fork("bear", 0, [{"l2": 0.1, "epochs": 30}, {"l2": 0.2, "epochs": 30}])
    assert [one.params["epochs"] for one in branches] == [30, 30, 30]


@pytest.mark.parametrize(
    ("branches", "more", "error", "sentence"),
    [
        ([{"hidden_units": 3}], {}, errors.Invalid, "hidden_units cannot change"),
        ([{"l2": 0.1}], {"step": 77}, errors.NotFound, "no checkpoint at step 77"),
        ([{"l2": 0.1}] * 20, {}, errors.BudgetSpent, "21 trials do not fit"),
    ],
)
def test_a_fork_that_is_not_possible_is_refused_with_the_reason(
    trained: ManualWorker, branches: list[Any], more: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        trained.client.fork("bear", 0, branches, **more)
    assert len(trained.client.trials("bear").items) == 1


def test_a_fork_that_is_sent_again_under_its_key_makes_its_branches_once(
    trained: ManualWorker, http: httpx.Client
) -> None:
    answers = [
        http.post(
            "/v1/studies/bear/trials/0:fork",
            json={"branches": [{"params": {"l2": 0.5}}]},
            headers={"Idempotency-Key": "twice"},
        )
        for _ in range(2)
    ]

    assert answers[0].status_code == 201
    assert answers[0].json() == answers[1].json()
    assert [one.number for one in trained.client.trials("bear").items] == [0, 1, 2]


def test_samplers_see_neither_pandas_nor_what_was_steered(server: RunningServer) -> None:
    from server.services.sampling.past import history_at
    from server.store import studies

    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name not in ("params", "mode")}
    server.client.create_study(study | {"space": space})
    leases = server.client.lease("ada", 3).leases
    server.client.put_checkpoint("bear", 0, 10, b"npz", 1, 1.0, 0.5)
    server.client.promote("bear", 0)
    server.client.set_params("bear", 1, {"learning_rate": 0.5})
    server.client.report("bear", 1, 1, [], 1, 5)
    for lease in leases:
        server.client.tell("bear", lease.number, lease.fence, {"dev_error": 0.5})

    with server.app.state.database.reading() as tx:
        row = studies.find(tx, "bear")
        assert row is not None
        seen = history_at(tx, row, row.seq, row.next_number).history
    assert [one.number for one in seen.finished] == [0, 2]
    assert seen.running == ()


@pytest.mark.fault("L11")
def test_the_epoch_that_a_checkpoint_says_may_be_sent_back_as_epochs(worker: ManualWorker, http: httpx.Client) -> None:
    worker.upload(63, 0.4)
    epoch = http.get("/v1/studies/bear/trials/0/checkpoints").json()["items"][0]["epoch"]
    body = {"branches": [{"params": {"epochs": 10 * epoch}}]}

    answer = http.post("/v1/studies/bear/trials/0:fork", json=body)

    assert (type(epoch), 10 * epoch) == (float, 63.0)
    assert answer.status_code == 201
    assert [trial["params"]["epochs"] for trial in answer.json()["items"]] == [63, 63]
    refused = http.post("/v1/studies/bear/trials/0:fork", json={"branches": [{"params": {"epochs": 63.5}}]})
    assert refused.status_code == 409
    for path, sent in (("params", {"epochs": 70.0}), (":promote", {"epochs": 80.0})):
        method = "PATCH" if path == "params" else "POST"
        url = f"/v1/studies/bear/trials/0{'/' if path == 'params' else ''}{path}"
        assert http.request(method, url, json={"params": sent}).is_success
    desired = worker.client.trial("bear", 0).desired
    assert desired is not None
    assert desired.params == {"epochs": 70}


def test_the_lineage_is_the_same_tree_from_each_of_its_trials_with_what_each_changed(trained: ManualWorker) -> None:
    trained.client.enqueue("bear", {})
    trained.client.fork("bear", 0, [{"learning_rate": 0.2}], step=40)
    trained.take(2)
    trained.upload(60, 0.2)
    trained.client.fork("bear", 2, [{"l2": 0.7}], step=60, control=False, raise_budget=True)

    tree = trained.client.lineage("bear", 4)

    assert [(one.number, one.parent and (one.parent.number, one.parent.step)) for one in tree.items] == [
        (0, None),
        (2, (0, 40)),
        (3, (0, 40)),
        (4, (2, 60)),
    ]
    assert [one.changed for one in tree.items] == [{}, {"learning_rate": 0.2}, {}, {"l2": 0.7}]
    assert all(trained.client.lineage("bear", number) == tree for number in (0, 2, 3))
    assert [one.number for one in trained.client.lineage("bear", 1).items] == [1]


def test_events_can_be_asked_for_of_one_trial(trained: ManualWorker) -> None:
    trained.client.fork("bear", 0, [{"learning_rate": 0.2}], step=40)
    trained.client.patch_study("bear", {"state": "paused"})
    trained.client.fork("bear", 0, [{"learning_rate": 0.4}], step=40)
    everything = trained.client.events("bear").items
    assert {one.number for one in everything} == {0, None}
    assert trained.client.events("bear", number=0).items == [one for one in everything if one.number == 0] != []
    first = trained.client.events("bear", page_size=1, number=0)
    rest = trained.client.events("bear", page_token=first.next_page_token, number=0).items
    assert [*first.items, *rest] == trained.client.events("bear", number=0).items
