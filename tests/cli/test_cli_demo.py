"""`sturgeon demo`: the whole path, with real processes."""

from __future__ import annotations

import copy
import os
import re
import resource
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sklearn.datasets

from sturgeon.cli import demo, processes
from sturgeon.cli.processes import Processes
from sturgeon.errors import SturgeonError
from tests.cli.command import Command
from tests.errors import errors_of_process
from tests.processes import DEADLINE_S, STURGEON, Process, wait_until

if TYPE_CHECKING:
    from tests.processes import ServerProcess


def test_the_demo_ends_within_a_minute_with_a_best_model_of_at_most_4_per_cent_and_one_can_go_on(
    sturgeon: Command,
    tmp_path: Path,
    server_process: Callable[..., ServerProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, before = tmp_path / "kept", resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([STURGEON, "demo", "--keep", folder], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (ran.returncode, ran.stderr) == (0, "")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # a minute of one processor: other work beside it costs none
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    assert [error for log in folder.glob("*.log") for error in errors_of_process(log.read_text())] == []
    assert sorted(log.name for log in folder.glob("*.log")) == ["demo-1.log", "demo-2.log", "server.log"]
    assert len(re.findall(r"^trial \d+: ", ran.stdout, re.MULTILINE)) == 30
    assert "by their error on 359 dev examples. The search never saw the 359 test examples." in ran.stdout
    shown = ran.stdout.split("test examples.")[1].split("\nThe results are in")[0].strip().splitlines()
    header, *rows, saved, sentence = shown
    assert header.split()[:3] == ["trial", "dev_error", "test_error"]

    server = server_process(
        STURGEON_DATABASE_URL=f"sqlite:///{folder / 'sturgeon.db'}",
        STURGEON_CHECKPOINTS=str(folder / "sturgeon-checkpoints"),
    )
    to = ("--server", server.url)
    best = sturgeon("study", "best", "digits", "-k", "5", "-o", "json", *to).json
    numbers = [trial["number"] for trial in best["items"]]
    winner = best["recommended"]["number"]
    assert len(rows) == 5 if str(winner) in [row.split()[0] for row in rows[:5]] else 6
    assert saved.startswith(f"Pruned: {ran.stdout.count(': pruned, ')} of 30 trials were stopped early")
    complete = [int(row.split()[0]) for row in rows if not row.rstrip().endswith("pruned")]
    assert complete == [number for number in numbers if number in complete] != []
    assert [row.split()[0] for row in rows if row.rstrip().endswith("recommended")] == [str(winner)]
    assert sentence == f"Recommended: trial {winner}. {best['recommended']['why']}"
    assert best["recommended"]["value"] <= 0.04
    model, images = tmp_path / "best.npz", tmp_path / "digits.npz"
    monkeypatch.chdir(tmp_path)
    assert f"The results are in {folder}." in ran.stdout
    serve, *others = re.findall(r"^  (\S.*)$", ran.stdout.split("Next steps:")[1].replace("  #", "#"), re.MULTILINE)
    assert serve.startswith(f"cd {folder} && ")
    assert serve.endswith("sturgeon serve")
    for command in others:
        assert sturgeon(*shlex.split(command)[1:], *to).code == 0, command
    digits = sklearn.datasets.load_digits()
    np.savez(images, X=digits.data, y=digits.target)
    assert sturgeon("predict", model, images, "-o", "json").json["error"] <= 0.04


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of two trials, both of which come to their end."""
    small = copy.deepcopy(demo.STUDY)
    small["budget"]["max_trials"] = 2
    small["pruning"] = {"rule": "none"}
    monkeypatch.setattr(demo, "STUDY", small)


@pytest.mark.usefixtures("small_demo")
def test_with_json_the_demo_prints_its_result_and_its_folder_alone(
    sturgeon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sturgeon-demo").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STURGEON_DATABASE_URL", "sqlite:////nowhere/a-database-that-matters.db")
    told = sturgeon("demo", "-o", "json").json
    assert [set(trial["metrics"]) >= {"dev_error", "test_error"} for trial in told["best"]] == [True, True]
    assert told["examples"] == {"dev": 359, "test": 359}
    assert told["folder"] == "sturgeon-demo-2"
    assert (tmp_path / "sturgeon-demo-2" / "sturgeon.db").exists()
    assert list((tmp_path / "sturgeon-demo").iterdir()) == []


def test_a_folder_that_is_in_use_is_not_taken_for_keep(sturgeon: Command, tmp_path: Path) -> None:
    (tmp_path / "sturgeon.db").write_text("precious")
    ran = sturgeon("demo", "--keep", tmp_path)
    assert (ran.code, ran.err) == (2, f"sturgeon: {tmp_path} is not empty: --keep needs a new folder.\n")


@pytest.fixture(params=["signals as they are", "signals ignored"])
def shell(request: pytest.FixtureRequest) -> Iterator[None]:
    """The shell that the tests were started from: `trap '' INT` is inherited by all that it starts."""
    ignored = [signal.SIGINT] if request.param == "signals ignored" else []
    before = {stop: signal.signal(stop, signal.SIG_IGN) for stop in ignored}
    yield
    for stop, handler in before.items():
        signal.signal(stop, handler)


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_server_and_workers_and_leaves_nothing(
    tmp_path: Path, how: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    demo_process = Process([STURGEON, "demo"], tmp_path, {"TMPDIR": str(scratch)}, "demo")
    demo_process.start()
    try:
        # No later: on a busy machine the first trial may be printed together with the last.
        demo_process.wait_until(lambda: len(children_of(demo_process.pid)) == 3, "its workers began")
        children = children_of(demo_process.pid)
        os.kill(demo_process.pid, how)
        assert demo_process.wait() == 130
    finally:
        demo_process.kill()
    assert "Traceback" not in demo_process.output
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "sturgeon-demo").exists()


def test_a_demo_that_is_killed_leaves_no_server_and_no_worker(tmp_path: Path) -> None:
    demo_process = Process([STURGEON, "demo", "--keep", tmp_path / "kept"], tmp_path, {}, "demo")
    demo_process.start()
    try:
        demo_process.wait_until(lambda: len(children_of(demo_process.pid)) == 3, "its workers began")
        children = children_of(demo_process.pid)
    finally:
        demo_process.kill()
    try:
        wait_until(lambda: not any(is_alive(child) for child in children), "they ended")
    finally:
        for child in filter(is_alive, children):
            os.kill(child, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether it runs; not when it has ended and nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_process_of_the_demo_that_ends_is_told_with_the_last_words_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("server", "serve", "--port", "99999")
        processes.running[0][1].wait(timeout=DEADLINE_S)
        with pytest.raises(SturgeonError, match=r"The server ended \(exit code 2\); its log says: .*65535"):
            processes.check()


def test_a_child_of_a_demo_that_is_dead_already_ends_at_once() -> None:
    dead = subprocess.Popen(["true"])
    dead.wait(DEADLINE_S)
    child = subprocess.Popen(["sleep", "600"], preexec_fn=partial(processes._end_with, dead.pid))
    assert child.wait(DEADLINE_S) == 128 + signal.SIGTERM
