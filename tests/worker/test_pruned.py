"""A run that is getting nowhere is stopped on its way, through HTTP and by a real worker."""

from __future__ import annotations

from collections.abc import Callable

from tests.processes import WorkerProcess
from tests.running import RunningServer

EPOCHS = 3000
"""On iris a run of so many takes seconds."""


def test_a_bad_trial_is_pruned_while_it_trains(
    server: RunningServer, worker_process: Callable[..., WorkerProcess]
) -> None:
    space = {
        "learning_rate": {"type": "float", "low": 1e-6, "high": 1, "scale": "log"},
        "epochs": {"type": "choice", "values": [20, EPOCHS]},
    }
    task = {"kind": "train", "dataset": "iris", "fixed": {"hidden_units": 16}}
    wanted = {"name": "flowers", "metric": "dev_error", "space": space, "task": task, "budget": {"max_trials": 2}}
    server.client.create_study(wanted | {"search": {"seed": 7}})
    for rate, epochs in ((0.03, 20), (1e-6, EPOCHS)):
        server.client.enqueue("flowers", {"learning_rate": rate, "epochs": epochs})

    worker = worker_process(server.url, "--slots", "1")
    worker.wait_until(lambda: server.client.study("flowers").state == "completed", "the study was done")

    study = server.client.study("flowers")
    pruned = server.client.trial("flowers", 1)
    curve = server.client.trial_metrics("flowers", 1, page_size=1000).items
    assert study.counts == {"complete": 1, "pruned": 1}
    assert pruned.desired is not None
    assert (pruned.desired.run, pruned.desired.why) == ("stop", "pruned")
    assert pruned.value is not None
    assert pruned.guess is not None
    assert study.best is not None
    assert pruned.value > study.best.value
    assert curve[-1].epoch is not None
    assert curve[-1].epoch < EPOCHS / 2
    assert study.spent.epochs == 20 + curve[-1].epoch
    [event] = [event for event in server.client.events("flowers").items if event.kind == "stop"]
    assert (event.number, event.detail["rule"]) == (1, "curve")
