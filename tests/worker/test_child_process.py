"""Child processes: what they say, and how they end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sturgeon.errors import SturgeonError
from worker.child import process
from worker.child.process import Child
from worker.child.protocol import DesiredRun, Finished, Job, LeaveStack, Progress, Unable

QUICK: dict[str, Any] = {"kind": "train", "dataset": "iris", "epochs": 3, "checkpoints": None}
ENDLESS = QUICK | {"epochs": 100_000}


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    process.start_fork_server()


@pytest.fixture
def child_of() -> Iterator[Callable[[dict[str, Any]], Child]]:
    children: list[Child] = []

    def start(task: dict[str, Any]) -> Child:
        children.append(Child([Job(task, {}, seed=0)]))
        return children[-1]

    yield start
    for child in children:
        child.kill()


def last(child: Child) -> Finished:
    *_, (_, end) = child.messages()
    assert isinstance(end, Finished)
    return end


def test_a_child_says_each_epoch_and_its_end(child_of: Callable[[dict[str, Any]], Child]) -> None:
    *progress, end = (said for _, said in child_of(QUICK).messages())

    assert [one.epoch for one in progress if isinstance(one, Progress)] == [1, 2, 3]
    assert isinstance(end, Finished)
    assert end.state == "complete"


def test_children_run_beside_each_other(child_of: Callable[[dict[str, Any]], Child]) -> None:
    one, other = child_of(QUICK), child_of(QUICK)

    assert one.pid != other.pid
    assert last(other).state == last(one).state == "complete"


def test_a_child_hears_what_is_desired(child_of: Callable[[dict[str, Any]], Child]) -> None:
    child = child_of(ENDLESS)
    messages = child.messages()
    next(messages)

    child.steer(0, DesiredRun(version=1, stop=True, pruned=True))

    *_, (_, end) = messages
    assert isinstance(end, Finished)
    assert end.state == "pruned"


def test_a_child_that_is_killed_is_told_so(child_of: Callable[[dict[str, Any]], Child]) -> None:
    child = child_of(ENDLESS)
    messages = child.messages()
    next(messages)

    os.kill(child.pid, signal.SIGKILL)

    *_, (_, end) = messages
    assert isinstance(end, Finished)
    assert (end.state, end.error) == (
        "failed",
        "The process of this trial was killed by SIGKILL, perhaps for want of memory.",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_leaves_ctrl_c_and_stop_to_the_daemon(
    number: signal.Signals, child_of: Callable[[dict[str, Any]], Child]
) -> None:
    child = child_of(ENDLESS)
    messages = child.messages()
    next(messages)

    os.kill(child.pid, number)
    child.steer(0, DesiredRun(version=1, stop=True))

    *_, (_, end) = messages
    assert isinstance(end, Finished)
    assert end.state == "complete"


def test_a_child_runs_a_stack_and_says_whose_each_message_is() -> None:
    said = list(Child([Job(QUICK, {}, seed=seed) for seed in range(3)]).messages())

    assert [place for place, _ in said[:3]] == [0, 1, 2]
    assert {place: message.state for place, message in said if isinstance(message, Finished)} == dict.fromkeys(
        range(3), "complete"
    )


def test_trials_of_a_stack_are_steered_apart() -> None:
    child = Child([Job(ENDLESS, {}, seed=seed) for seed in range(2)])
    messages = child.messages()
    next(messages)

    child.steer(1, DesiredRun(version=1, stop=True, pruned=True))

    ended = next(said for said in messages if isinstance(said[1], Finished))
    assert isinstance(ended[1], Finished)
    assert (ended[0], ended[1].state) == (1, "pruned")
    assert next(messages)[0] == 0
    child.kill()
    assert list(messages)[-1][0] == 0


@pytest.mark.parametrize("breaks", ["death", "error"])
def test_the_trials_of_a_stack_that_breaks_are_to_run_alone(breaks: str) -> None:
    last_params = {"learning_rate": "fast"} if breaks == "error" else {}
    child = Child([Job(ENDLESS, {}, seed=0), Job(ENDLESS, last_params, seed=1)])
    messages = child.messages()
    if breaks == "death":
        next(messages)
        os.kill(child.pid, signal.SIGKILL)

    *_, first, second = messages

    assert [first[0], second[0]] == [0, 1]
    assert isinstance(first[1], LeaveStack)
    assert first[1] == second[1]
    assert ("SIGKILL" if breaks == "death" else "Error in trainer") in first[1].reason


def test_a_task_of_another_kind_is_for_another_worker(child_of: Callable[[dict[str, Any]], Child]) -> None:
    *_, (_, end) = child_of({"kind": "paint"}).messages()

    assert end == Unable("This worker cannot run tasks of kind 'paint', only: train, command, python.")


def test_an_exception_is_one_paragraph_that_names_the_place(child_of: Callable[[dict[str, Any]], Child]) -> None:
    end = last(child_of(QUICK | {"learning_rate": "fast"}))

    assert end.state == "failed"
    assert end.error is not None
    assert re.fullmatch(r"\w+Error in trainer/optim/\w+\.py, line \d+: .+", end.error)


def test_a_child_that_has_ended_leaves_no_open_file(child_of: Callable[[dict[str, Any]], Child]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    child = child_of(QUICK)
    last(child)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    child.steer(0, DesiredRun(version=1, stop=True))  # in vain, and no error
    child.kill()


def test_a_child_starts_with_the_trainer_loaded(child_of: Callable[[dict[str, Any]], Child]) -> None:
    """Importing NumPy and scikit-learn takes over half a second of processor time; a fork of them does not."""
    child = child_of(ENDLESS)
    next(child.messages())

    ticks = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") < 0.4


def test_another_trainer_in_the_way_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process.main, "OURS", tmp_path)

    with pytest.raises(SturgeonError, match=r"Another package named trainer is in the way: .*trainer/__init__\.py"):
        process._check_origins()


@pytest.mark.parametrize("path", ["", "{folder}"], ids=["folder", "PYTHONPATH"])
def test_the_folder_and_the_script_of_the_user_are_not_imported_by_children(path: str, tmp_path: Path) -> None:
    """A trainer.py in the current folder is the user's own, and the main script does not run again."""
    (tmp_path / "trainer.py").write_text("raise SystemExit('the wrong trainer')")
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
            from worker.child import process
            from worker.child.protocol import Job

            print("the script runs")
            process.start_fork_server()
            *_, (_, end) = process.Child([Job({"kind": "train", "dataset": "iris", "epochs": 1}, {}, 0)]).messages()
            print(end.state, end.error)
        """)
    )

    command = [sys.executable, "-P", "script.py"]
    paths = [path.format(folder=tmp_path), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=150, check=False)

    assert (done.stdout, done.stderr) == ("the script runs\ncomplete None\n", "")


def test_children_end_soon_when_the_daemon_is_killed(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        textwrap.dedent("""
            import signal
            from worker.child import process
            from worker.child.protocol import Job

            process.start_fork_server()
            child = process.Child([Job({"kind": "train", "dataset": "iris", "epochs": 100000}, {}, 0)])
            next(child.messages())
            print(child.pid, flush=True)
            signal.pause()
        """)
    )
    with subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        child = os.pidfd_open(int(daemon.stdout.readline()))

        daemon.kill()

        readable, _, _ = select.select([child], [], [], 60)  # a pidfd can be read when its process has ended
    os.close(child)
    assert readable


def test_no_process_is_closed_by_a_thread_while_the_worker_ends() -> None:
    """multiprocessing goes through its processes then, and failed where one was closed just before it looked at it."""
    script = """
        import atexit
        atexit.register(lambda: print(process._bookkeeping.locked()))  # called after what is registered later
        from worker.child import process
    """

    run = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "True\n"
