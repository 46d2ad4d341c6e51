"""A network that is cut or loses answers, and a worker that stands still: the trial goes on elsewhere, what comes too
late changes nothing, and who asks again has one effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sturgeon.client import Client
from sturgeon.errors import LeaseLost
from tests.faults.network_cut import Cable
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from tests.server.studies import BOWL
from tests.worker.paced import paced

LEASE_S = "1.5"
STEP_S = 0.05
STUDY: dict[str, Any] = {
    "name": "long",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}},
    "search": {"sampler": "random", "seed": 3},
    "budget": {"max_trials": 1},
    "pruning": {"rule": "none"},
    "task": {
        "kind": "train",
        "dataset": "iris",
        "epochs": 100_000,
        "fixed": {"hidden_units": 8, "batch_size": 64},
        "checkpoints": {"best": 0, "last": 1},
    },
}


def fenced_writes(url: str) -> float:
    """How many writes the server has refused since their lease was lost."""
    lines = httpx.get(f"{url}/metrics", trust_env=False, timeout=DEADLINE_S).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sturgeon_fenced_writes_total{"))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_who_comes_back_after_its_lease_finds_it_taken_and_changes_nothing(
    kind: str,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    request: pytest.FixtureRequest,
) -> None:
    """The first one's network is cut for longer than a lease; the second one is stopped for as long."""
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(STURGEON_DATABASE_URL=url, STURGEON_LEASE_S=LEASE_S, STURGEON_REAP_EVERY_S="0.1")
    cable = Cable(server.port)
    first = worker_process(cable.url, name="first", **paced(STEP_S))
    with Client(server.url, patience_s=DEADLINE_S) as client:

        def fences() -> list[int]:
            """The fence of each report of the trial, in their order."""
            started = client.trials("long").items
            return [one.fence for one in client.trial_metrics("long", 0, page_size=1000).items] if started else []

        def runs_at(worker: str, above: int = 0) -> bool:
            """Whether the worker reports, under a fence above that."""
            return max(fences(), default=0) > above and client.trial("long", 0).worker == worker

        client.create_study(STUDY)
        first.wait_until(lambda: runs_at("first"), "it reported")
        second = worker_process(server.url, name="second", **paced(STEP_S))

        cable.cut()
        lost = max(fences())
        second.wait_until(lambda: runs_at("second", lost), "the trial went on where the network is whole")
        cable.mend()
        first.wait_until(lambda: "lease lost" in first.output, "it was told so")

        second.pause()
        lost = max(fences())
        first.wait_until(lambda: runs_at("first", lost), "it was free again, and took the trial back")
        second.unpause()
        second.wait_until(lambda: "lease lost" in second.output, "it was told so, too")

        refused = fenced_writes(server.url)
        with pytest.raises(LeaseLost):
            client.tell("long", 0, lost, {"dev_error": 0.0})
        assert fenced_writes(server.url) == refused + 1
        assert fences() == sorted(fences()), "nothing of an earlier holder behind what a later one said"
        assert all(late.fence < max(fences()) for late in client.late_results("long").items)
        assert client.trial("long", 0).attempt == 0
        client.stop("long", 0)
        first.wait_until(lambda: client.trial("long", 0).state == "complete", "it ended")
        assert client.study("long").counts == {"complete": 1}
    cable.close()


@pytest.mark.fault("L9")
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_answer_that_is_lost_on_its_way_is_given_again(
    kind: str, server_process: Callable[..., ServerProcess], request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(STURGEON_DATABASE_URL=url, STURGEON_REAP_EVERY_S="600")
    cable = Cable(server.port)
    with Client(cable.url, patience_s=DEADLINE_S) as client:

        def unheard(call: Callable[[], Any]) -> Any:
            """The answer to the second try: the first one had its effect, and its answer did not arrive."""
            cable.answers_to_lose = 1
            answer = call()
            assert cable.answers_to_lose == 0
            return answer

        assert unheard(lambda: client.create_study(BOWL)).name == "bowl"
        [lease] = unheard(lambda: client.ask("bowl", worker="ada")).leases
        assert unheard(lambda: client.enqueue("bowl", {"x": 0.5, "n": 2})).number == 1
        report = {"step": 1, "metrics": {"loss": 0.5}}
        assert unheard(lambda: client.report("bowl", 0, lease.fence, [report])).desired.version == 0
        assert unheard(lambda: client.tell("bowl", 0, lease.fence, {"loss": 0.25})).value == 0.25
        [queued] = unheard(lambda: client.ask("bowl", worker="ada")).leases
        unheard(lambda: client.release("bowl", queued.number, queued.fence))
        assert unheard(lambda: client.cancel("bowl", 1)).state == "cancelled"

        assert [(trial.number, trial.state) for trial in client.trials("bowl").items] == [
            (0, "complete"),
            (1, "cancelled"),
        ]
        assert [one.step for one in client.trial_metrics("bowl", 0).items] == [1]
        assert client.late_results("bowl").items == []
        assert fenced_writes(server.url) == 0
    cable.close()
