"""People, guards and a worker at one trial at once: no deadlock, and the timeline is whole and in order."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sturgeon.client import Client
from sturgeon.errors import NotFound, PreconditionFailed, WrongState
from sturgeon.messages import Lease
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from tests.running import RunningServer

PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.1},
    "policies": [{"policy": "plateau", "patience_epochs": 2, "auto": True, "lowest": 1e-30}],
    "budget": {"max_trials": 2},
    "task": {"kind": "train", "dataset": "digits", "epochs": 100_000},
}
GUARD = {"metric": "dev_error", "worse_by": 0.1, "within_epochs": 5}
ROUNDS = 40


def steer(server: RunningServer, seed: int) -> int:
    """Someone who changes, goes back, pauses and resumes; how many versions he made."""
    chance, made = random.Random(seed), 0
    with Client(server.url) as client:
        for _ in range(ROUNDS):
            try:
                match chance.randrange(5):
                    case 0 | 1:
                        client.set_params("bear", 0, {"l2": chance.random()}, guard=GUARD)
                    case 2:
                        client.rollback("bear", 0)
                    case 3:
                        client.pause("bear", 0)
                    case 4:
                        client.resume("bear", 0)
                made += 1
            except (WrongState, NotFound, PreconditionFailed):
                pass
    return made


def train(server: RunningServer, lease: Lease, seed: int) -> None:
    """A worker that obeys, reports what is good or bad by chance, and leaves checkpoints."""
    chance = random.Random(seed)
    with Client(server.url) as client:
        step, version, at, generation = 0, 0, 0, 0
        for _ in range(3 * ROUNDS):
            step += 10
            report = {"step": step, "epoch": step / 10, "metrics": {"dev_error": chance.random()}}
            desired = client.report("bear", 0, lease.fence, [report], version or None, at if version else None).desired
            if desired.version == version:
                continue
            if desired.checkpoint > version:
                put(client, lease.fence, step, version, desired.checkpoint)
            step = desired.restore or 0 if desired.leg > generation else step
            version, at, generation = desired.version, step, desired.leg
            held = {"study": "bear", "number": 0, "fence": lease.fence}
            client.renew("ada", [held | {"applied_version": version, "applied_step": at}])


def put(client: Client, fence: int, step: int, version: int, wanted: int) -> None:
    with suppress(WrongState):  # it went back to an earlier step meanwhile
        client.put_checkpoint("bear", 0, step, b"%d" % step, fence, value=0.5, version=version, wanted=wanted)


def test_who_steers_at_once_leaves_a_whole_timeline(server: RunningServer) -> None:
    server.client.create_study(PANDA)
    [lease] = server.client.lease("ada").leases
    with ThreadPoolExecutor() as threads:
        people = [threads.submit(steer, server, seed) for seed in range(3)]
        worker = threads.submit(train, server, lease, 7)
        made = sum(person.result(timeout=DEADLINE_S) for person in people)
        worker.result(timeout=DEADLINE_S)

    items = server.client.timeline("bear", 0).items
    assert [one.version for one in items] == list(range(1, len(items) + 1))
    assert sum(one.actor == "local" for one in items) == made
    assert {one.actor for one in items} <= {"local", "guard", "policy:plateau"}
    trial = server.client.trial("bear", 0)
    assert trial.desired is not None
    assert trial.desired.version == len(items)
    assert all(one.state != "pending" for one in items[: trial.applied_version or 0])
