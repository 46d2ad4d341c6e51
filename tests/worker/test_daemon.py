"""A worker as a user starts it, with a real server."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from sturgeon import messages as m
from tests.processes import ServerProcess, WorkerProcess
from tests.running import RunningServer
from tests.worker.processes import children_of, trial_processes
from trainer.analysis.curves import shows_epoch
from trainer.checkpoint import Checkpoint
from worker.child.protocol import DesiredRun, Finished, Job
from worker.tasks import train

LONG = 2500
"""Epochs on iris that take a few seconds."""
ENDLESS = 100_000
StartWorker = Callable[..., WorkerProcess]


def study(trials: int = 1, **task: Any) -> dict[str, Any]:
    return {
        "name": "flowers",
        "metric": "dev_error",
        "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"}},
        "search": {"sampler": "random", "seed": 7},
        "pruning": {"rule": "none"},
        "budget": {"max_trials": trials},
        "task": {"kind": "train", "dataset": "iris", "epochs": 10} | task,
    }


def state_of(client: Any, number: int = 0) -> str | None:
    numbered: dict[int, m.Trial] = {trial.number: trial for trial in client.all_trials("flowers")}
    return numbered[number].state if number in numbered else None


def wait_until_training(worker: WorkerProcess, client: Any) -> None:
    def reported() -> bool:
        return state_of(client) is not None and bool(client.trial_metrics("flowers", 0).items)

    worker.wait_until(reported, "it reported an epoch")


def expected(trial: m.Trial, lease_task: dict[str, Any]) -> dict[str, float]:
    """The metrics of the same training without server and worker; its time is another."""
    *_, (_, end) = train.run([Job(lease_task, trial.params, trial.seed)], lambda _place: DesiredRun())
    assert isinstance(end, Finished)
    return dict(end.metrics) | {"seconds": trial.metrics["seconds"] or 0.0}


def test_trials_are_trained_reported_and_told_with_their_checkpoints(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study(trials=3))

    worker = worker_process(server.url, "--slots", "2", name="wilma")
    worker.wait_until(lambda: server.client.study("flowers").state == "completed", "the study was done")

    trials = list(server.client.all_trials("flowers"))
    assert [(trial.state, trial.worker, trial.attempt) for trial in trials] == [("complete", "wilma", 0)] * 3
    task = study()["task"] | {"checkpoints": {"best": 1, "last": 1}}
    for trial in trials:
        curve = server.client.trial_metrics("flowers", trial.number).items
        kept = {c.step: c for c in server.client.checkpoints("flowers", trial.number).items}
        assert [one.epoch for one in curve] == list(range(1, 11))
        assert trial.metrics == pytest.approx(expected(trial, task), abs=0)
        assert trial.value == trial.metrics["dev_error"] == min(one.metrics["dev_error"] or 0 for one in curve)
        assert trial.step is not None
        assert trial.value == kept[trial.step].value
        assert set(kept) == {trial.step, curve[-1].step}
        assert Checkpoint.from_bytes(server.client.checkpoint("flowers", trial.number, trial.step)).step == trial.step


def test_a_cancelled_trial_stops_its_run_and_the_slot_goes_on(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study(trials=2, epochs=ENDLESS))
    worker = worker_process(server.url)
    wait_until_training(worker, server.client)

    server.client.cancel("flowers", 0)

    worker.wait_until(lambda: state_of(server.client, 1) == "running", "the next trial ran")
    assert state_of(server.client, 0) == "cancelled"
    worker.wait_until(lambda: len(trial_processes(worker)) == 1, "the cancelled run had ended")


def test_a_lost_lease_stops_also_a_run_that_says_nothing(server: RunningServer, worker_process: StartWorker) -> None:
    """Only the heartbeat can hear of it."""
    server.client.create_study(study(trials=2, epochs=ENDLESS))
    worker = worker_process(server.url)
    wait_until_training(worker, server.client)
    [child] = trial_processes(worker)
    os.kill(child, signal.SIGSTOP)

    server.client.cancel("flowers", 0)

    worker.wait_until(lambda: child not in trial_processes(worker), "the run was stopped")
    worker.wait_until(lambda: state_of(server.client, 1) == "running", "the next trial ran")


def test_what_cannot_be_trained_is_told_as_failed(
    server: RunningServer, worker_process: StartWorker, tmp_path: Path
) -> None:
    server.client.create_study(study(dataset="npz:cats.npz"))
    (tmp_path / "cats.npz").write_text("no archive")

    worker = worker_process(server.url, "--data", str(tmp_path))
    worker.wait_until(lambda: state_of(server.client) == "failed", "it told the failure")

    assert server.client.trial("flowers", 0).error == "cats.npz is not an npz file; save it with numpy.savez."


def test_a_child_that_dies_is_told_as_failed(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study(epochs=ENDLESS))
    worker = worker_process(server.url)
    wait_until_training(worker, server.client)

    [child] = trial_processes(worker)
    os.kill(child, signal.SIGKILL)

    worker.wait_until(lambda: state_of(server.client) == "failed", "it told the failure")
    assert "was killed by SIGKILL" in (server.client.trial("flowers", 0).error or "")


def test_sigterm_lets_a_running_trial_finish_and_takes_no_other(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study(trials=2, epochs=LONG))
    worker = worker_process(server.url)
    wait_until_training(worker, server.client)

    for process in [*children_of(worker.pid), *trial_processes(worker)]:
        os.kill(process, signal.SIGTERM)  # systemd stops all processes of a service
    assert worker.stop() == 0

    [trial] = server.client.all_trials("flowers")
    assert trial.state == "complete"
    assert server.client.trial_metrics("flowers", 0, page_size=1).items[0].epoch == 1


def test_what_is_not_finished_when_the_drain_ends_is_released(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study(epochs=ENDLESS))
    worker = worker_process(server.url, "--drain-s", "0")
    wait_until_training(worker, server.client)

    assert worker.stop() == 0

    trial = server.client.trial("flowers", 0)
    assert (trial.state, trial.attempt) == ("queued", 0)


def test_a_second_signal_releases_at_once(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study(epochs=ENDLESS))
    worker = worker_process(server.url, "--drain-s", "600")
    wait_until_training(worker, server.client)

    os.kill(worker.pid, signal.SIGINT)
    worker.wait_until(lambda: "draining" in worker.output, "it drained")

    assert worker.stop() == 0
    assert state_of(server.client) == "queued"


def test_an_idle_worker_ends_at_once(server: RunningServer, worker_process: StartWorker) -> None:
    worker = worker_process(server.url)
    worker.wait_until(lambda: bool(server.client.workers().items), "it asked for work")

    assert worker.stop(within_s=20) == 0, "it did not wait for the answer to its question, which takes 30 s"


def test_a_worker_that_the_server_drains_finishes_and_ends(server: RunningServer, worker_process: StartWorker) -> None:
    server.client.create_study(study(trials=2, epochs=LONG))
    worker = worker_process(server.url, name="wilma")
    wait_until_training(worker, server.client)

    server.client.drain_worker("wilma")

    assert worker.wait() == 0
    assert [trial.state for trial in server.client.all_trials("flowers")] == ["complete"]
    lines = [json.loads(line) for line in worker.output.splitlines()]
    [draining] = [line for line in lines if line["event"] == "draining"]
    assert (draining["why"], draining["running"]) == ("server", 1)
    [told] = [line for line in lines if line["event"] == "trial told"]
    assert (told["worker"], told["study"], told["trial"], told["fence"]) == ("wilma", "flowers", 0, 1)


def test_a_server_that_is_away_for_a_while_costs_nothing(
    server_process: Callable[..., ServerProcess], worker_process: StartWorker
) -> None:
    from sturgeon import Client

    server = server_process(STURGEON_LEASE_S="1")
    with Client(server.url) as client:
        client.create_study(study(epochs=LONG))
        worker = worker_process(server.url)
        wait_until_training(worker, client)
        server.kill()
        worker.wait_until(lambda: "server away" in worker.output, "it noticed")
        worker.wait_until(lambda: not trial_processes(worker), "the training was done")

        server.start()

        worker.wait_until(lambda: state_of(client) == "complete", "it told the end")
        worker.wait_until(lambda: "server back" in worker.output, "a renewal went through again")
        trial = client.trial("flowers", 0)
        epochs = [one.epoch for one in every_report(client)]
        assert trial.attempt == 0
        assert epochs == [epoch for epoch in range(1, LONG + 1) if shows_epoch(epoch, LONG)]


def every_report(client: Any) -> list[m.ReportedMetrics]:
    reports, token = [], None
    while True:
        page = client.trial_metrics("flowers", 0, page_size=1000, page_token=token)
        reports += page.items
        token = page.next_page_token
        if token is None:
            return reports


def test_a_wrong_token_ends_the_worker_with_one_sentence(
    migrated_sqlite_url: str,
    tmp_path: Path,
    serve: Callable[[Settings], RunningServer],
    worker_process: StartWorker,
) -> None:
    from pydantic import SecretStr

    settings = Settings(database_url=migrated_sqlite_url, checkpoints=tmp_path / "c", token=SecretStr("sesame"))

    worker = worker_process(serve(settings).url, STURGEON_TOKEN="guessed")

    assert worker.wait() == 1
    last_line = worker.output.splitlines()[-1]
    assert last_line.startswith("sturgeon: ")
    assert "token" in last_line
    assert "Traceback" not in worker.output
    assert "guessed" not in worker.output


OUT_OF_FILES = """
import errno, itertools
from sturgeon.cli.app import main
from worker.child import process

pipe, calls = process._context.Pipe, itertools.count()

def pipe_once():
    if next(calls):  # the first is the check at the start
        raise OSError(errno.EMFILE, "Too many open files")
    return pipe()

process._context.Pipe = pipe_once
main()
"""


@pytest.mark.expects_errors("cannot start child processes")
def test_a_worker_that_cannot_start_a_trial_gives_it_back_and_ends_with_one_sentence(
    server: RunningServer, worker_process: StartWorker
) -> None:
    server.client.create_study(study())

    worker = worker_process(server.url, program=(sys.executable, "-c", OUT_OF_FILES))

    assert worker.wait() == 1
    sentence = "The worker cannot start child processes: OSError: [Errno 24] Too many open files."
    assert worker.output.splitlines()[-1] == f"sturgeon: {sentence}"
    assert "Traceback" not in worker.output
    trial = server.client.trial("flowers", 0)
    assert (trial.state, trial.attempt) == ("queued", 0)
