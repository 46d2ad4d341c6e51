"""Users' programs through a real server and a real worker, from the study to the log of a trial."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import WorkerProcess
from tests.running import RunningServer

StartWorker = Callable[..., WorkerProcess]

SCRIPT = """
import argparse, json, sys

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
lr = parser.parse_args().lr
for epoch in range(1, 4):
    print(f"epoch {epoch}: loss={lr / epoch:.5f}")
"""

MODULE = """
import trainer, os

def train(trial):
    assert trainer.MINE and trial.study == "mine" and "STURGEON_TOKEN" not in os.environ
    for epoch in range(1, 4):
        trial.report(epoch=epoch, loss=trial.params["lr"] / epoch)
    return {"loss": trial.params["lr"], "extra": 5}

def broken(lr):
    raise ValueError(f"{lr} is too much")
"""


def study(task: dict[str, Any], trials: int = 2, **others: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "metric": "loss",
        "space": {"lr": {"type": "float", "low": 0.1, "high": 1.0}},
        "search": {"sampler": "random", "seed": 7},
        "budget": {"max_trials": trials},
        "task": task,
    } | others


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "job.py").write_text(MODULE)
    (tmp_path / "trainer.py").write_text("MINE = True\n")


def until_done(worker: WorkerProcess, server: RunningServer) -> None:
    worker.wait_until(lambda: server.client.study("mine").state == "completed", "the study was done")


def test_a_script_that_knows_nothing_is_searched_and_its_log_is_kept(
    server: RunningServer, worker_process: StartWorker
) -> None:
    lines = {"loss": r"loss=([\d.]+)", "epoch": r"epoch (\d+)"}
    task = {"kind": "command", "argv": ["python", "train.py", "--lr", "{lr}"], "metrics": {"lines": lines}}
    server.client.create_study(study(task))

    worker = worker_process(server.url, "--slots", "2", "--allow-command", "python", "--python", sys.executable)
    until_done(worker, server)

    for trial in server.client.all_trials("mine"):
        assert trial.state == "complete", trial.error
        assert trial.value == pytest.approx(trial.params["lr"] / 3, abs=1e-5)
        curve = server.client.trial_metrics("mine", trial.number).items
        assert [(one.step, one.epoch) for one in curve] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        assert server.client.trial_log("mine", trial.number).splitlines()[-1].startswith("epoch 3: loss=0.")


def test_a_function_is_called_in_its_own_process_beside_modules_with_our_names(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study({"kind": "python", "call": "job:train"}))

    worker = worker_process(server.url, "--allow-python", "job", STURGEON_TOKEN="secret")
    until_done(worker, server)

    for trial in server.client.all_trials("mine"):
        assert trial.state == "complete", trial.error
        assert trial.metrics == {"loss": trial.params["lr"], "extra": 5.0}
        assert len(server.client.trial_metrics("mine", trial.number).items) == 4


def test_an_exception_of_a_function_is_the_trials_error(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study({"kind": "python", "call": "job:broken"}, trials=1))

    worker = worker_process(server.url, "--allow-python", "*")
    until_done(worker, server)

    [trial] = server.client.all_trials("mine")
    assert trial.state == "failed"
    assert trial.error is not None
    assert f"ValueError: {trial.params['lr']} is too much (job.py, line 11)" in trial.error
    assert "Traceback" in server.client.trial_log("mine", 0)
