"""`study.optimize`: a function runs a study's trials, in this process or in several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import sturgeon
from sturgeon import errors
from sturgeon.tuning import processes
from sturgeon.tuning.processes import ObjectiveFailed
from tests.processes import DEADLINE_S, clean_environment, die_with_parent, wait_until
from tests.running import RunningServer

Objective = Callable[..., object]


def of_params(x: float) -> float:
    return x**2


def of_trial(trial: Any) -> dict[str, float]:
    return {"loss": trial.params.x**2, "other": 1.0}


def of_both(trial: Any, x: float) -> float:
    assert trial.params.x == x
    return x**2


def with_reports(trial: Any) -> None:
    for step in range(3):
        trial.report(step, loss=trial.params.x**2 + 2 - step)


def yielding(x: float) -> Iterator[float | Mapping[str, float]]:
    yield 3.0
    yield {"step": 5, "epoch": 0.5, "loss": x**2}


@pytest.mark.parametrize(
    "objective", [of_params, of_trial, of_both, with_reports, yielding, lambda **params: params["x"] ** 2]
)
def test_an_objective_takes_and_gives_what_it_likes(bowl: sturgeon.Study, objective: Objective) -> None:
    assert bowl.optimize(objective) is bowl

    assert [trial.value for trial in bowl.trials] == [pytest.approx(trial.params["x"] ** 2) for trial in bowl.trials]


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        (lambda lr: lr, None),
        (lambda y, x=1: y, "needs y, which this trial does not have; its parameters are x"),
        (lambda: 1, "does not take x: add it"),
        (lambda x: "good", "The metric loss must be a number; it is str"),
        (lambda x: {"loss": [x]}, "The metric loss must be a number; it is list"),
    ],
)
def test_an_objective_that_does_not_fit_is_told_why(
    bowl: sturgeon.Study, objective: Objective, sentence: str | None
) -> None:
    if sentence is None:  # a single parameter of another name is the trial
        sentence = "The metric loss must be a number; it is StudyTrial"
    with pytest.raises(TypeError, match=sentence):
        bowl.optimize(objective)


def test_an_asynchronous_objective_is_refused(bowl: sturgeon.Study) -> None:
    async def objective(x: float) -> float:
        return x

    with pytest.raises(TypeError, match="is asynchronous"):
        bowl.optimize(objective)


def test_what_cannot_run_is_refused_before_a_trial_begins(bowl: sturgeon.Study) -> None:
    with pytest.raises(TypeError, match="must be a function; it is int"):
        bowl.optimize(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1, not 0"):
        bowl.optimize(lambda x: x, workers=0)

    assert bowl.trials == []


def test_an_error_whose_text_cannot_be_stored_is_told_and_raised(bowl: sturgeon.Study) -> None:
    def objective(x: float) -> float:
        raise ValueError("caf\udce9\0")

    with pytest.raises(ValueError, match="caf"):
        bowl.optimize(objective)

    [trial] = bowl.trials
    assert trial.error is not None
    assert trial.error.startswith("ValueError: caf??")


def test_caught_exceptions_end_their_trial_alone(bowl: sturgeon.Study) -> None:
    def objective(trial: Any) -> float:
        if trial.number % 2:
            raise ValueError(f"bad {trial.number}")
        return 1.0

    bowl.optimize(objective, catch=ValueError)

    assert [trial.state for trial in bowl.trials] == ["complete", "failed", "complete", "failed"]
    assert (bowl.trials[3].error or "").startswith("ValueError: bad 3 (test_optimize.py, line ")


def test_an_exception_that_is_not_caught_ends_the_call(bowl: sturgeon.Study) -> None:
    with pytest.raises(ZeroDivisionError):
        bowl.optimize(lambda x: 1 / 0, catch=(ValueError, KeyError))

    assert [trial.state for trial in bowl.trials] == ["failed"]


def test_a_generator_is_closed_when_its_trial_should_stop(server: RunningServer, bowl: sturgeon.Study) -> None:
    closed = []

    def objective(trial: Any) -> Iterator[float]:
        try:
            yield 1.0
            server.client.stop("bowl", trial.number)
            yield 2.0
            yield 3.0
        finally:
            closed.append(trial.number)

    bowl.optimize(objective, trials=1)

    assert closed == [0]
    assert [trial.value for trial in bowl.trials] == [2.0]


def test_a_call_runs_as_many_trials_as_it_is_told(bowl: sturgeon.Study) -> None:
    bowl.optimize(of_params, trials=1)
    bowl.optimize(of_params, trials=2)

    assert [trial.state for trial in bowl.trials] == ["complete"] * 3


# --- several processes


def test_a_closure_runs_in_forked_processes(bowl: sturgeon.Study) -> None:
    target = 0.5
    bowl.optimize(lambda x: (x - target) ** 2, workers=2, trials=3)

    assert [trial.value for trial in bowl.trials] == [(trial.params["x"] - 0.5) ** 2 for trial in bowl.trials]
    assert len(bowl.trials) == 3
    assert not any(str(os.getpid()) in str(trial.worker) for trial in bowl.trials)


def test_a_function_of_a_module_runs_in_fresh_processes(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\n\ndef objective(x):\n    return float('a_mark' in sys.modules)\n")
    (tmp_path / "search.py").write_text(
        "import mine, sturgeon, sys\n"
        "if __name__ == '__main__':\n    sys.modules['a_mark'] = sys\n"
        "    study = sturgeon.study('bowl', {'x': sturgeon.linear(-1, 1)}, minimize='loss', trials=4)\n"
        "    study.optimize(mine.objective, workers=2)\n"
    )
    env = clean_environment() | {"STURGEON_SERVER": server.url}
    subprocess.run([sys.executable, "search.py"], cwd=tmp_path, env=env, check=True, timeout=DEADLINE_S)

    trials = server.client.trials("bowl").items
    assert [trial.value for trial in trials] == [0.0] * 4


def test_what_an_objective_raises_in_another_process_is_raised_here(
    server: RunningServer, bowl: sturgeon.Study
) -> None:
    def objective(x: float) -> float:
        raise ValueError(f"bad {type(x).__name__}")

    with pytest.raises(ValueError, match="bad float") as raised:
        bowl.optimize(objective, workers=2)

    assert isinstance(raised.value.__cause__, ObjectiveFailed)
    assert "in objective" in str(raised.value.__cause__)
    # One that the other process was just asking for when it was told to end is given back when its lease ends.
    server.advance(seconds=3600)
    server.expire_leases()
    assert {trial.state for trial in bowl.trials} <= {"failed", "queued"}


def test_a_process_that_dies_is_told_with_its_signal(bowl: sturgeon.Study) -> None:
    def objective(x: float) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ObjectiveFailed, match=r"exit code -9 \(SIGKILL\)"):
        bowl.optimize(objective, workers=2)


def test_without_fork_a_closure_is_refused_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.multiprocessing, "get_all_start_methods", lambda: ["spawn"])

    with pytest.raises(errors.SturgeonError, match="move it to the top of a module of its own"):
        processes.start_method_for(lambda x: x)
    assert processes.start_method_for(os.path.join) == "spawn"


SCRIPT = """
import sys, time
from pathlib import Path
import sturgeon

def objective(trial):
    Path(f"running-{trial.number}").touch()
    time.sleep(600)

study = sturgeon.study("slow", {"x": sturgeon.linear(-1, 1)}, minimize="loss", trials=4)
study.optimize(objective, workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_search_that_is_ended_leaves_no_process_and_gives_its_trials_back(
    server: RunningServer, tmp_path: Path, how: signal.Signals
) -> None:
    (tmp_path / "search.py").write_text(SCRIPT)
    program = subprocess.Popen(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        env=clean_environment() | {"STURGEON_SERVER": server.url},
        preexec_fn=die_with_parent(signal.SIGKILL),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(list(tmp_path.glob("running-*"))) == 2, "two trials ran")
        os.kill(program.pid, how)
        program.wait(DEADLINE_S)
        wait_until(lambda: not in_group(program.pid), "all of its processes had ended")
    finally:
        for pid in in_group(program.pid):
            os.kill(pid, signal.SIGKILL)
    assert [trial.state for trial in server.client.trials("slow").items] == ["queued", "queued"]


def in_group(leader: int) -> list[int]:
    """The processes of a group, which Ctrl-C in a terminal would reach."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if fields[0] != "Z" and int(fields[2]) == leader:
            found.append(int(stat.parent.name))
    return found
