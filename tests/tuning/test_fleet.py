"""`optimize` with workers of any machine: the study gets a task, and the call waits for its results."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sturgeon
from sturgeon.errors import Conflict, Contradiction, SturgeonError
from sturgeon.tuning.processes import ObjectiveFailed
from tests.processes import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from sturgeon.client import Client
    from tests.running import RunningServer

CALL = "of_the_user:bowl"


@pytest.fixture(autouse=True)
def module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "of_the_user.py").write_text("def bowl(x):\n    return x ** 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("of_the_user", None)


def run_all(client: Client, ends: threading.Event, tell: Callable[[Any], dict[str, Any]]) -> list[Any]:
    """A worker for Python tasks; the tasks that it got."""
    tasks = []
    while not ends.is_set():
        for lease in client.lease("ada", offer={"kinds": ["python"]}, wait=0.2).leases:
            tasks.append(lease.task)
            client.tell(lease.study, lease.number, lease.fence, **tell(lease))
    return tasks


@pytest.fixture
def working(server: RunningServer) -> Iterator[Callable[..., Callable[[], list[Any]]]]:
    """Start a worker; what is returned ends it, and returns the tasks that it got."""
    ends = threading.Event()
    with ThreadPoolExecutor() as threads:

        def start(tell: Callable[[Any], dict[str, Any]]) -> Callable[[], list[Any]]:
            running = threads.submit(run_all, server.client, ends, tell)

            def tasks() -> list[Any]:
                ends.set()
                return running.result(timeout=DEADLINE_S)

            return tasks

        yield start
        ends.set()


@pytest.mark.parametrize("by_name", [True, False])
def test_workers_run_a_function_and_the_call_waits_for_them(
    open_study: Any, working: Any, caplog: pytest.LogCaptureFixture, by_name: bool
) -> None:
    objective = CALL if by_name else importlib.import_module("of_the_user").bowl
    caplog.set_level(logging.INFO, "sturgeon")
    study = open_study()
    end = working(lambda lease: {"metrics": {"loss": lease.params["x"] ** 2}})

    assert study.optimize(objective, workers="fleet") is study

    assert {task["call"] for task in end()} == {CALL}
    assert (study.info.state, study.info.task.call) == ("completed", CALL)
    assert study.best.value == min(trial.params["x"] ** 2 for trial in study.trials)
    assert f"bowl: 4 of 4 trials have ended, the best loss is {study.best.value:.6g}." in caplog.text
    assert study.optimize(objective, workers="fleet") is study  # again: nothing is left to do


def test_a_study_has_one_task(open_study: Any, server: RunningServer) -> None:
    study = open_study()
    server.client.patch_study("bowl", {"task": {"kind": "python", "call": "other:run"}})

    with pytest.raises(Conflict, match="has a task, which its trials were made for"):
        study.optimize(CALL, workers="fleet")
    open_study("second")
    with pytest.raises(Contradiction, match="no_such"):
        server.client.patch_study("second", {"task": {"kind": "command", "argv": ["train", "{no_such}"]}})


def test_a_function_that_fails_in_all_trials_is_told(open_study: Any, working: Any) -> None:
    study = open_study()
    working(lambda _: {"metrics": {}, "state": "failed", "error": "ImportError: no data", "retry": False})

    with pytest.raises(ObjectiveFailed, match="All 4 trials of bowl have failed; the last: ImportError: no data"):
        study.optimize(CALL, workers="fleet")


def test_that_no_worker_is_there_is_told(
    open_study: Any, server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    study = open_study()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(study.optimize, CALL, workers="fleet")
        wait_until(lambda: "bowl waits for a worker." in caplog.text or waiting.done(), "it was told")
        server.client.patch_study("bowl", {"state": "cancelled"})
        waiting.result(timeout=DEADLINE_S)
    assert "bowl waits for a worker." in caplog.text


@pytest.mark.parametrize(
    ("objective", "options", "said"),
    [
        (lambda x: x, {}, "Workers cannot import .*move it to the top of a module"),
        (CALL, {"trials": 3}, "are for processes of this machine"),
        (CALL, {"catch": ValueError}, "are for processes of this machine"),
    ],
)
def test_what_a_fleet_cannot_do_is_refused(open_study: Any, objective: Any, options: Any, said: str) -> None:
    with pytest.raises((SturgeonError, ValueError), match=said):
        open_study().optimize(objective, workers="fleet", **options)


def test_a_function_may_be_named_for_this_machine_too(open_study: Any) -> None:
    study = open_study()

    study.optimize(CALL)

    assert study.best.value == min(trial.params["x"] ** 2 for trial in study.trials)
    assert isinstance(study, sturgeon.Study)
