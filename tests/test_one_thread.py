"""What computes limits its threads itself, so the tests set no variable that a person's shell would not have."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sturgeon.one_thread import VARIABLES, limit_programs
from sturgeon.search.coarse_to_fine import suggest
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import Finished, History
from sturgeon.space import Space
from tests.processes import DEADLINE_S, clean_environment

pytestmark = pytest.mark.fault("W8")
T = TypeVar("T")
TESTS = Path(__file__).parent
SPACE = Space.model_validate({"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}})


def weights_of_a_run() -> str:
    """A hash of weights that two threads of BLAS sum up otherwise than one."""
    from trainer.config import TrainConfig
    from trainer.data.preparation import prepare
    from trainer.training import train

    config = TrainConfig("digits", epochs=1, hidden_units=64, batch_size=1000)
    *_, last = train(config, prepare(config), 0)
    return hashlib.sha256(last.checkpoint().theta.tobytes()).hexdigest()


def threads_of_blas() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_process_of_a_person_with_two_threads_trains_the_same_weights() -> None:
    script = "from tests.test_one_thread import weights_of_a_run; print(weights_of_a_run())"
    asked_for = clean_environment() | dict.fromkeys(VARIABLES, "2")
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=TESTS.parent, env=asked_for, check=True, capture_output=True, text=True, timeout=DEADLINE_S
    )
    with threadpool_limits(limits=1):
        assert done.stdout.strip() == weights_of_a_run()


def test_a_suggestion_is_computed_with_one_thread_and_leaves_the_others_be() -> None:
    while_computing: list[set[int]] = []

    class WatchingMemo(Memo):
        def recall(self, question: str, about: tuple[Hashable, ...], answer: Callable[[], T]) -> T:
            while_computing.append(threads_of_blas())
            return super().recall(question, about, answer)

    finished = tuple(Finished(number, (number / 20, 0.5), number % 7 / 7) for number in range(20))
    with threadpool_limits(limits=2, user_api="blas"):
        suggest(SPACE, 7, 20, History(finished, ()), memo=WatchingMemo())
        assert threads_of_blas() == {2}
    assert while_computing
    assert all(threads == {1} for threads in while_computing)


def test_a_program_replaces_a_persons_own_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "8")
    limit_programs()
    assert {os.environ[name] for name in VARIABLES} == {"1"}


def test_no_file_that_all_tests_share_sets_a_number_of_threads() -> None:
    shared = [
        *TESTS.rglob("conftest.py"),
        TESTS / "processes.py",
        TESTS / "running.py",
        TESTS.parent / "pyproject.toml",
    ]
    assert [str(file) for file in shared if any(name in file.read_text() for name in VARIABLES)] == []
