"""Stacks through a real server and real workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sturgeon import Client
from sturgeon.cli.replaying import replayed
from tests.processes import WorkerProcess
from tests.running import RunningServer
from tests.worker.processes import trial_processes
from trainer.checkpoint import Checkpoint

StartWorker = Callable[..., WorkerProcess]
ENDLESS = 100_000
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"}


def study(name: str, trials: int, dataset: str = "digits", **task: Any) -> dict[str, Any]:
    """Random learning rates and batch sizes of digits: two shapes."""
    return {
        "name": name,
        "metric": "dev_error",
        "space": {
            "learning_rate": RATE,
            "batch_size": {"type": "choice", "values": [64, 128]},
        },
        "pruning": {"rule": "none"},
        "search": {"sampler": "random", "seed": 7},
        "budget": {"max_trials": trials},
        "task": {"kind": "train", "dataset": dataset, "epochs": 3, "fixed": {"keep_prob": 0.8, "hidden_units": 32}}
        | task,
    }


def results(client: Client, name: str) -> list[Any]:
    """All that came of a study's trials, but times."""
    found: list[Any] = []
    for trial in client.all_trials(name):
        curve = [(one.step, timeless(one.metrics)) for one in client.trial_metrics(name, trial.number).items]
        kept = client.checkpoints(name, trial.number).items
        checkpoints = [content(client.checkpoint(name, trial.number, one.step)) for one in kept]
        findings = client.diagnosis(name, trial.number), client.errors(name, trial.number)
        found.append((trial.number, trial.state, timeless(trial.metrics), curve, checkpoints, findings))
    return found


def timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "seconds"}


def content(blob: bytes) -> bytes:
    checkpoint = Checkpoint.from_bytes(blob)
    return replace(checkpoint, seconds=0.0, metrics=timeless(checkpoint.metrics)).to_bytes()


def wait_until_running(worker: WorkerProcess, client: Client, name: str, numbers: range) -> None:
    def reported() -> bool:
        known = {trial.number for trial in client.all_trials(name, state="running")}
        return known >= set(numbers) and all(client.trial_metrics(name, number).items for number in numbers)

    worker.wait_until(reported, "its trials reported")


def wait_until_complete(worker: WorkerProcess, client: Client, name: str) -> None:
    worker.wait_until(lambda: client.study(name).state == "completed", "the study was done")


def test_a_trials_result_is_the_same_bits_in_a_stack_and_alone(
    server: RunningServer, worker_process: StartWorker
) -> None:
    for name, options in (("stacked", ["--stack", "8"]), ("single", [])):
        server.client.create_study(study(name, trials=12))
        worker = worker_process(server.url, *options)
        wait_until_complete(worker, server.client, name)
        assert ('"stack"' in worker.output) == (name == "stacked")
        worker.kill()

    stacked, single = (results(server.client, name) for name in ("stacked", "single"))
    assert {one[1] for one in single} == {"complete"}
    assert stacked == single


def test_the_branches_of_one_checkpoint_train_as_a_stack(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study("parent", 1, "iris", epochs=4))
    worker = worker_process(server.url, "--stack", "8")
    wait_until_complete(worker, server.client, "parent")

    branches = [{"learning_rate": 0.1, "epochs": 60}, {"l2": 0.01, "epochs": 60}]
    server.client.fork("parent", 0, branches, raise_budget=True)
    wait_until_complete(worker, server.client, "parent")

    assert worker.output.count('"stack": 3') == 3
    for number in (1, 2, 3):
        assert {one.exact for one in replayed(server.client, "parent", number)} == {True}


def test_a_lost_trial_leaves_its_stack_and_the_others_go_on(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study("flowers", 3, "iris", epochs=ENDLESS) | {"space": {"learning_rate": RATE}})
    worker = worker_process(server.url, "--stack", "3")
    wait_until_running(worker, server.client, "flowers", range(3))
    [process] = trial_processes(worker)

    server.client.cancel("flowers", 1)

    worker.wait_until(lambda: "lease lost" in worker.output, "it noticed")
    before = {number: last_step(server.client, number) for number in (0, 2)}
    worker.wait_until(
        lambda: all(last_step(server.client, number) > step for number, step in before.items()), "the others went on"
    )
    assert trial_processes(worker) == [process]
    for number in (0, 2):
        server.client.cancel("flowers", number)
    worker.wait_until(lambda: not trial_processes(worker), "with the last one the process ended")


def last_step(client: Client, number: int) -> int:
    return max(one.step for one in client.trial_metrics("flowers", number, page_size=1000).items)


def test_when_a_stacks_process_dies_its_trials_run_alone(server: RunningServer, worker_process: StartWorker) -> None:
    """The server's max_attempts is 1: a death that counted would be the trial's end."""
    server.client.create_study(study("flowers", 2, "iris", epochs=ENDLESS) | {"space": {"learning_rate": RATE}})
    worker = worker_process(server.url, "--stack", "2")
    wait_until_running(worker, server.client, "flowers", range(2))
    [process] = trial_processes(worker)

    os.kill(process, signal.SIGKILL)

    worker.wait_until(lambda: worker.output.count("will run alone") == 2, "both were released")
    worker.wait_until(lambda: len(alone := trial_processes(worker)) == 1 and alone != [process], "one runs again")
    assert sorted(trial.state for trial in server.client.all_trials("flowers")) == ["queued", "running"]
    assert [trial.attempt for trial in server.client.all_trials("flowers")] == [0, 0]


@pytest.mark.parametrize("there", [True, False])
def test_a_trial_starts_from_the_best_checkpoint_of_another(
    server: RunningServer, worker_process: StartWorker, there: bool
) -> None:
    server.client.create_study(study("first", 1))
    worker = worker_process(server.url)
    wait_until_complete(worker, server.client, "first")
    number = 0 if there else 5
    fixed = study("s", 1)["task"]["fixed"] | {"start_from": f"first/{number}", "frozen_layers": 1}

    server.client.create_study(study("second", 1, fixed=fixed))
    wait_until_complete(worker, server.client, "second")

    trial = server.client.trial("second", 0)
    if there:
        source, taken = (Checkpoint.from_bytes(server.client.checkpoint(s, 0, "best")) for s in ("first", "second"))
        assert trial.state == "complete"
        assert (source.parameters().values["W1"] == taken.parameters().values["W1"]).all()
    else:
        assert trial.state == "failed"
        assert "There is no checkpoint of first/5 to start from" in (trial.error or "")


def test_more_leases_than_one_heartbeat_renews_are_refused(server: RunningServer, worker_process: StartWorker) -> None:
    worker = worker_process(server.url, "--slots", "100", "--stack", "11")

    assert worker.wait() == 2
    assert "--slots times --stack must be at most 1000" in worker.output
