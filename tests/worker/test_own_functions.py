"""Python functions of users: how they are called, and what they come to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worker.own_programs import OwnProgram, job, rules
from worker.child.protocol import DesiredRun, Finished, Paused, Progress, SavedCheckpoint, Unable

WITHOUT_STURGEON = getattr(sys, "_base_executable", sys.executable)
"""The interpreter from which the tests' environment was made; nothing of ours is installed in it."""


@pytest.fixture
def program(tmp_path: Path) -> OwnProgram:
    return OwnProgram(tmp_path)


def called(program: OwnProgram, module: str, call: str = "job:run", **others: Any) -> Any:
    """The last word of a trial that calls a function of this module."""
    program.script(module, "job.py")
    task = {"kind": "python", "call": call} | others
    *_, last = program.run(job(program.folder, task, {"lr": 0.5}))
    return last


@pytest.mark.parametrize(
    ("module", "metrics"),
    [
        ("def run(lr): return lr", {"loss": 0.5}),
        ("def run(lr, units=3): return {'loss': lr, 'units': units}", {"loss": 0.5, "units": 3.0}),
        ("def run(**params): return sum(params.values())", {"loss": 0.5}),
        ("def run(trial): return trial.params['lr'] + trial.number", {"loss": 3.5}),
        ("def run(trial):\n  trial.report(4, loss=0.25)", {"loss": 0.25}),
        ("def run(lr):\n  yield {'step': 7, 'loss': 1}\n  yield 0.75", {"loss": 0.75}),
    ],
)
def test_a_function_is_called_by_its_signature(program: OwnProgram, module: str, metrics: dict[str, float]) -> None:
    last = called(program, module.replace("\n", "\n        "))

    assert isinstance(last, Finished)
    assert (last.state, last.metrics) == ("complete", metrics), last.error


def test_a_returned_nan_is_divergence(program: OwnProgram) -> None:
    last = called(program, "def run(lr): return float('nan')")

    assert isinstance(last, Finished)
    assert last.state == "diverged"


def test_an_interpreter_without_sturgeon_and_a_user_with_our_names_are_enough(program: OwnProgram) -> None:
    for name in ("sturgeon", "trial_process", "trainer", "worker", "objective"):
        program.script("MINE = 1", f"{name}.py")
    program.script(
        """
        import os, sys
        import objective, sturgeon, trainer, trial_process, worker
        def run(trial):
            assert objective.MINE + sturgeon.MINE + trainer.MINE + trial_process.MINE + worker.MINE == 5
            assert sys.path[0] == os.getcwd() and not any("sturgeon-trial" in one for one in sys.path)
            return trial.params["lr"]
        """,
        "job.py",
    )
    one = job(program.folder, {"kind": "python", "call": "job:run"}, {"lr": 0.5})
    object.__setattr__(one, "own", rules(program.folder, python=WITHOUT_STURGEON))

    *_, last = program.run(one)

    assert isinstance(last, Finished)
    assert (last.state, last.metrics) == ("complete", {"loss": 0.5}), last.error


def test_the_trial_of_a_script_that_imports_sturgeon_is_the_very_trial(program: OwnProgram) -> None:
    last = called(
        program,
        """
        import sturgeon
        def run(trial):
            assert sturgeon.trial() is trial
            return 1.0
        """,
    )

    assert isinstance(last, Finished)
    assert last.state == "complete", last.error


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("nowhere:run", "No module named 'nowhere'"),
        ("job:walk", "has no attribute 'walk'"),
        ("needs:run", "No module named 'not_installed_here'"),
        ("job:os.getcwd", "os is another module"),
    ],
)
def test_a_module_or_function_that_is_missing_gives_the_trial_to_another_worker(
    program: OwnProgram, call: str, why: str
) -> None:
    program.script("import not_installed_here", "needs.py")

    last = called(program, "import os\ndef run(lr): return lr", call)

    assert isinstance(last, Unable)
    assert why in last.reason


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("def run(lr): raise ValueError('no')", "ValueError: no (job.py, line 2)"),
        ("def run(lr): return 'low'", "TypeError: The metric loss must be a number; it is str. Its last lines"),
        ("def run(rate, units): return rate", "TypeError: run needs rate, units"),
        ("raise RuntimeError('at import')", "RuntimeError: at import (job.py, line 2)"),
        ("def run(lr): return undefined", "NameError: name 'undefined' is not defined"),
        ("def run(lr): import sys; sys.exit(4)", "exit code 4"),
    ],
)
def test_an_error_of_a_function_is_the_trials_in_one_sentence(program: OwnProgram, module: str, error: str) -> None:
    last = called(program, "\n        " + module)

    assert isinstance(last, Finished)
    assert last.state == "failed"
    assert last.error is not None
    assert error in last.error.splitlines()[0]


def test_a_generator_is_closed_when_it_shall_stop_or_pause(program: OwnProgram) -> None:
    program.script(
        """
        import time
        def run(trial):
            step = 0
            try:
                while True:
                    step += 1
                    yield {"step": step, "loss": 1 / step}
                    time.sleep(0.02)
            finally:
                (trial.checkpoint / "model").write_text(str(step))
        """,
        "job.py",
    )
    one = job(program.folder, {"kind": "python", "call": "job:run", "checkpoints": {}}, {"lr": 0.5})

    def pause() -> None:
        program.desired = DesiredRun(version=1, pause=True)

    last = program.after(Progress, pause, program.run(one))

    assert isinstance(last, Paused)
    [saved] = [message for message in program.said if isinstance(message, SavedCheckpoint)]
    assert saved.step == last.step > 0


@pytest.mark.parametrize(
    ("modules", "is_allowed"),
    [(("job",), True), (("pkg.*",), False), (("job.*",), True), ((), False), (("jo",), False), (("*",), True)],
)
def test_only_the_modules_that_the_owner_of_the_worker_allows_are_called(
    program: OwnProgram, modules: tuple[str, ...], is_allowed: bool
) -> None:
    program.script("def run(lr): return lr", "job.py")
    one = job(program.folder, {"kind": "python", "call": "job:run"})
    object.__setattr__(one, "own", rules(program.folder, modules=modules))

    *_, last = program.run(one)

    assert isinstance(last, Finished if is_allowed else Unable), last
    assert is_allowed or "--allow-python job" in last.reason  # type: ignore[union-attr]
