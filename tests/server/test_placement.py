"""Workers get the trials that they can run, and say of the others why they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from server.services.leases.long_poll import LongPollQueue, Work
from server.services.studies.placement import UNLIMITED, Offer, lacking
from sturgeon.messages import Lease, LeaseRequest, Needs
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer

COMMAND: dict[str, Any] = {"kind": "command", "argv": ["python", "train.py", "--x={x}"]}
OWN = BOWL | {"name": "own", "task": COMMAND}
TAKES_ALL = {"kinds": ["train", "command", "python"]}
GPU = {"gpus": 1}


def create(server: RunningServer, name: str, trials: int = 4, **fields: Any) -> None:
    server.client.create_study(OWN | {"name": name, "budget": {"max_trials": trials}} | fields)


def got(server: RunningServer, worker: str = "ada", slots: int = 1, stack: int = 1, **offer: Any) -> list[str]:
    """The studies of the trials that the worker gets, each as often as it has one."""
    return [lease.study for lease in server.client.lease(worker, slots, stack=stack, offer=TAKES_ALL | offer).leases]


def unable(server: RunningServer, lease: Lease, reason: str = "no such file: iris.npz") -> None:
    server.client.release(lease.study, lease.number, lease.fence, unable=reason)


def lease(server: RunningServer, worker: str = "ada", **offer: Any) -> Lease:
    [one] = server.client.lease(worker, offer=TAKES_ALL | offer).leases
    return one


def test_a_worker_is_listed_with_the_trials_that_it_runs(server: RunningServer) -> None:
    for name in ("own", "other"):
        create(server, name)
    assert [*got(server, slots=4), *got(server, slots=4)] == ["own"] * 4 + ["other"] * 4
    server.client.tell("own", 2, 1, {"loss": 1.0})

    [ada] = server.client.workers().items
    names = [f"{one.study} {one.number}" for one in ada.holds]
    assert names == ["own 0", "own 1", "own 3", "other 0", "other 1", "other 2", "other 3"]
    assert ada.running == 7
    assert [f"{one.study} {one.number}" for one in server.client.drain_worker("ada").holds] == names


def test_a_worker_that_names_no_kinds_gets_train_tasks_only(server: RunningServer) -> None:
    create(server, "own")
    server.client.enqueue("own", {"x": 0, "n": 1})

    assert server.client.lease("old", slots=9).leases == []

    assert [got(server), got(server)] == [["own"], ["own"]]


@pytest.mark.parametrize(
    ("needs", "offer", "trials"),
    [
        ({"gpus": 1}, {"gpus": 0}, 0),
        ({"gpus": 2}, {"gpus": 5}, 2),
        ({"memory_gb": 8}, {"memory_gb": 7.9}, 0),
        ({"memory_gb": 8}, {"memory_gb": 16.5}, 2),
        ({"memory_gb": 8}, {}, UNLIMITED),
        ({"labels": ["a100", "nvme"]}, {"labels": ["a100"]}, 0),
        ({"labels": ["a100"]}, {"labels": ["nvme", "a100"]}, UNLIMITED),
        ({"gpus": 1, "memory_gb": 8}, {"gpus": 2, "memory_gb": 8}, 1),
    ],
)
def test_as_many_trials_fit_as_what_is_free_allows(needs: dict[str, Any], offer: dict[str, Any], trials: int) -> None:
    assert Offer.free(LeaseRequest(worker="ada", **offer)).room_for(Needs(**needs)) == trials


@pytest.mark.parametrize("queued", [False, True], ids=["new", "queued"])
def test_a_worker_gets_as_many_trials_as_fit_together(server: RunningServer, queued: bool) -> None:
    create(server, "own", needs={"gpus": 2, "labels": ["a100"]})
    if queued:
        for number in range(4):
            server.client.enqueue("own", {"x": 0.1 * number, "n": 1})

    assert got(server, slots=3, gpus=5) == []
    assert got(server, slots=3, gpus=5, labels=["a100"]) == ["own", "own"]


@pytest.mark.parametrize("stack", [1, 4])
def test_trials_that_do_not_fit_hide_no_others(server: RunningServer, stack: int) -> None:
    create(server, "first", needs=GPU)
    for number in range(3):
        server.client.enqueue("first", {"x": 0.1 * number, "n": 1})
    create(server, "second")
    server.client.enqueue("second", {"x": 0, "n": 1})

    assert got(server, stack=stack) == ["second"]
    assert got(server, stack=stack) == ["second"]  # a new one
    assert got(server, stack=stack, gpus=1) == ["first"]


def test_a_worker_gets_nothing_of_the_studies_that_it_skips(server: RunningServer) -> None:
    create(server, "first")
    server.client.enqueue("first", {"x": 0, "n": 1})
    create(server, "second")

    assert got(server, skip=["first"]) == ["second"]
    assert got(server, skip=["first", "second"]) == []


def test_own_code_is_never_stacked_and_no_more_is_drawn_than_goes_out(server: RunningServer) -> None:
    create(server, "own")

    leases = server.client.lease("ada", slots=2, stack=8, offer=TAKES_ALL).leases

    assert [lease.number for lease in leases] == [0, 1]
    assert server.client.study("own").counts == {"running": 2}


def test_queued_own_code_goes_out_one_to_a_slot(server: RunningServer) -> None:
    create(
        server, "own", space={"learning_rate": {"type": "float", "low": 0, "high": 1}}, task=COMMAND | {"argv": ["a"]}
    )
    for _ in range(3):
        server.client.enqueue("own", {"learning_rate": 0.5})

    leases = server.client.lease("ada", slots=2, stack=8, offer=TAKES_ALL).leases

    assert [(lease.number, lease.stack) for lease in leases] == [(0, 0), (1, 1)]


def test_stacked_trials_need_their_memory_each(server: RunningServer) -> None:
    server.client.create_study(DIGITS | {"needs": {"memory_gb": 2}, "budget": {"max_trials": 9}})

    assert got(server, slots=2, stack=4, memory_gb=7) == ["digits"] * 3


def test_a_trial_that_a_worker_cannot_run_waits_for_another_and_costs_no_attempt(server: RunningServer) -> None:
    create(server, "own", trials=1)
    unable(server, lease(server))

    assert got(server, skip=["own"]) == []
    again = lease(server, "bob")
    assert (again.number, again.attempt) == (0, 0)
    assert server.client.trial("own", 0).state == "running"


def test_the_study_and_the_workers_say_who_cannot_run_it_and_why(server: RunningServer) -> None:
    create(server, "own")
    for _ in range(2):
        unable(server, lease(server))
    lease(server, "bob")

    [one] = server.client.study("own").unable
    assert (one.study, one.worker, one.reason, one.count) == ("own", "ada", "no such file: iris.npz", 2)
    assert server.client.studies().items[0].unable == [one]
    assert {worker.name: worker.unable for worker in server.client.workers().items} == {"ada": [one], "bob": []}
    assert [event.detail for event in server.client.events("own").items if event.kind == "unable"] == [
        {"worker": "ada", "reason": "no such file: iris.npz"}
    ]


@pytest.mark.parametrize("then", ["reports", "tells", "is gone"])
def test_who_ran_a_trial_since_or_is_gone_is_not_called_unable(server: RunningServer, then: str) -> None:
    create(server, "own")
    unable(server, lease(server))
    if then == "is gone":
        server.advance(seconds=61)
    else:
        server.advance(seconds=1)
        one = lease(server)
        if then == "reports":
            server.client.report("own", one.number, one.fence, [{"step": 1, "metrics": {"loss": 1}}])
        else:
            server.client.tell("own", one.number, one.fence, {"loss": 1})

    assert server.client.study("own").unable == []
    if then == "tells":
        unable(server, lease(server))
        assert [one.count for one in server.client.study("own").unable] == [1]


def test_a_study_says_what_no_worker_has(server: RunningServer) -> None:
    create(server, "own", needs={"gpus": 2, "labels": ["a100"]})
    said = [server.client.study("own").waits_for]
    server.client.lease("old")
    said.append(server.client.study("own").waits_for)
    got(server, "ada", total_gpus=1)
    said.append(server.client.study("own").waits_for)
    got(server, "big", total_gpus=2, labels=["a100"])  # its GPUs are busy

    assert said == [
        "No worker is there; start one with `sturgeon worker --allow-command PROGRAM`.",
        "No worker that is there runs tasks of kind command; start one with `sturgeon worker --allow-command PROGRAM`.",
        "None of the 2 workers has the label a100 and 2 GPUs (1 at most).",
    ]
    assert server.client.study("own").waits_for is None


def test_a_study_that_no_fitting_worker_can_run_says_why(server: RunningServer) -> None:
    create(server, "own")
    unable(server, lease(server))

    assert server.client.study("own").waits_for == "No worker can run it. ada: no such file: iris.npz"
    got(server, "bob", skip=["own"])
    assert server.client.study("own").waits_for is None


def test_a_study_with_nothing_to_give_out_waits_for_nobody(server: RunningServer) -> None:
    create(server, "own", trials=1)
    lease(server)
    server.advance(seconds=61)

    assert server.client.study("own").waits_for is None
    server.client.patch_study("own", {"state": "paused"})
    assert server.client.study("own").waits_for is None


def test_who_fits_singly_but_not_together_is_told_so() -> None:
    offers = [Offer(("train",), gpus=2, memory_gb=1), Offer(("train",), gpus=0, memory_gb=64)]

    assert lacking(Needs(gpus=2, memory_gb=8), "train", offers) == (
        "None of the 2 workers has all at once that the study needs."
    )


def test_work_wakes_only_those_whom_it_fits() -> None:
    queue = LongPollQueue()
    plain, label = Offer(), Offer(labels=frozenset({"a100"}))
    waiters = [queue.enter(1, offer) for offer in (plain, label, plain)]

    queue.wake([Work("s", "train", Needs(labels=["a100"]), 5), Work("t", "command", Needs(), 5)])
    assert [waiter.woken.is_set() for waiter in waiters] == [False, True, False]

    queue.wake([Work("s", "train", Needs(), 1)])
    assert [waiter.woken.is_set() for waiter in waiters] == [True, True, False]


def test_an_ask_is_told_to_wait_while_others_could_bring_more(server: RunningServer) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 1}})
    [running] = server.client.ask("bowl").leases

    assert server.client.ask("bowl").reason == "waiting"

    server.client.tell("bowl", 0, running.fence, {"loss": 1})
    assert server.client.ask("bowl").reason == "finished"


def test_an_ask_of_a_grid_that_is_given_out_is_told_to_wait(server: RunningServer) -> None:
    two = {"space": {"n": {"type": "choice", "values": [1, 2]}}, "search": {"sampler": "grid"}}
    server.client.create_study(BOWL | two)

    assert len(server.client.ask("bowl", 2).leases) == 2
    assert server.client.ask("bowl").reason == "waiting"


@pytest.mark.parametrize("queued", [False, True], ids=["new", "queued"])
def test_a_worker_for_some_studies_gets_no_trials_of_others(server: RunningServer, queued: bool) -> None:
    create(server, "first")
    create(server, "second", trials=2)
    if queued:
        for name in ("first", "second"):
            server.client.enqueue(name, {"x": 0, "n": 1})

    assert [got(server, "ada", only=["second"]) for _ in range(3)] == [["second"], ["second"], []]
    assert server.client.study("first").waits_for == (
        "No worker is there; start one with `sturgeon worker --allow-command PROGRAM`."
    )


def test_what_a_study_needs_can_be_changed(server: RunningServer) -> None:
    create(server, "own", needs={"labels": ["a10"]})
    assert got(server, labels=["a100"]) == []

    server.client.patch_study("own", {"needs": {"labels": ["a100"]}})
    assert got(server, labels=["a100"]) == ["own"]
    server.client.patch_study("own", {"needs": {}})
    server.client.patch_study("own", {"needs": {}})

    assert got(server) == ["own"]
    assert [event.detail["labels"] for event in server.client.events("own").items if event.kind == "needs"] == [
        ["a100"],
        [],
    ]


def test_what_other_studies_need_is_counted_when_an_older_one_goes_first(server: RunningServer) -> None:
    create(server, "plain")
    create(server, "needy", needs=GPU)
    server.client.enqueue("plain", {"x": 0, "n": 1})
    for number in range(3):
        server.client.enqueue("needy", {"x": 0.1 * number, "n": 1})

    assert got(server, slots=4, gpus=1) == ["plain"]
    assert got(server, slots=4, gpus=1) == ["needy"]
