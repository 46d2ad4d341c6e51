"""`sturgeon tune`: one command from a script to its best parameters."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from sturgeon import embedded
from sturgeon.cli.app import app
from sturgeon.cli.completion import study_names
from sturgeon.cli.files import read_mapping
from sturgeon.cli.tune_plans import Options, plan_of_file, plan_of_options
from sturgeon.cli.tune_servers import remove_old_logs, worker_name
from tests.cli.command import Command
from tests.processes import DEADLINE_S, STURGEON, clean_environment, wait_until
from tests.running import RunningServer
from tests.stand_ins import stand_ins
from tests.system.readme import ROOT, block_with

SHELL = """\
#!/bin/sh
# The time of a made-up build, by its number of jobs.
jobs=${1:-1}
echo "building with $jobs jobs"
echo "seconds $(awk -v n="$jobs" 'BEGIN { print 60 / n + n }')"
"""
PLAIN = """\
import os
rate = float(os.environ.get("STURGEON_PARAM_RATE", "0.9"))
for step in range(3):
    print(f"step {step}: loss={(rate - 0.3) ** 2 + 0.1 / (step + 1):.5f}", flush=True)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has the programs that are tuned."""
    for name, text in {"build.sh": SHELL, "plain.py": PLAIN}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "build.sh").chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python that has imported what the example does, which takes a second each time."""
    imported = ["sklearn.datasets", "sklearn.linear_model", "sklearn.model_selection"]
    folder = tmp_path_factory.mktemp("python")
    with stand_ins(folder, Path(sys.executable), imported, {}, {"python": None}) as found:
        yield found / "python"


def printed_number(command: list[str]) -> float:
    """The number at the end of what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    return float(done.stdout.replace("=", " ").split()[-1])


def suggested(out: str) -> list[str]:
    """The command line that the output ends with."""
    return shlex.split(out.strip().splitlines()[-1])


# --- must hold: better than the defaults, with programs that know nothing of Sturgeon


def test_a_scikit_learn_script_is_tuned_by_a_file_without_any_server(here: Path, python: Path) -> None:
    env = clean_environment() | {"PATH": f"{python.parent}:{STURGEON.parent}:{os.environ['PATH']}"}
    command = ["sturgeon", "tune", "examples/fit_diabetes.yaml", "--trials", "3", "--seed", "1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE_S)

    assert done.returncode == 0, done.stderr
    program, *best = suggested(done.stdout)
    assert (program, best[:2]) == ("python", ["examples/fit_diabetes.py", "--alpha"])
    best_r2 = printed_number([str(python), *best])
    assert best_r2 > printed_number([str(python), "examples/fit_diabetes.py"]) + 0.05
    assert f"It has r2 {best_r2:.4g}." in done.stdout
    assert not embedded.is_locked(here / ".sturgeon" / embedded.SERVER)


@pytest.mark.usefixtures("here")
def test_the_command_of_the_readme_is_that_of_the_example_file() -> None:
    block = block_with("sturgeon tune")
    words = shlex.split(block.replace("\\\n", " "))
    options, command = words[2 : words.index("--")], words[words.index("--") + 1 :]
    given = dict(zip(options[::2], options[1::2], strict=True))
    space = [options[i + 1] for i, option in enumerate(options) if option == "--space"]

    plan = plan_of_options(space, command, Options(maximize=given["--maximize"], trials=int(given["--trials"])))

    content = read_mapping(ROOT / "examples" / "fit_diabetes.yaml")
    assert plan.study == plan_of_file(content, "fit_diabetes", Options()).study


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("space", "metric", "command", "default"),
    [
        ("jobs=1..16", "seconds", ["./build.sh", "{jobs}"], 61.0),
        ("rate=0.0..1.0", "loss", [sys.executable, "plain.py"], 0.36 + 0.1 / 3),
    ],
    ids=["shell", "environment"],
)
def test_programs_that_know_nothing_are_tuned_by_options(
    sturgeon: Command, server: RunningServer, space: str, metric: str, command: list[str], default: float
) -> None:
    options = ["tune", "--space", space, "--minimize", metric, "--trials", "6", "--workers", "2", "--seed", "1"]

    ran = sturgeon(*options, "--", *command)

    assert ran.code == 0, ran.err
    assert "worker" not in ran.out  # it is started here, and no business of theirs
    [study] = server.client.studies().items
    assert study.counts["complete"] == 6
    best = server.client.best(study.name).winner
    assert best is not None
    assert best.value < default / 2
    found = suggested(ran.out)
    said = subprocess.run(found, capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout
    assert float(said.replace("=", " ").split()[-1]) == pytest.approx(best.value, abs=1e-5)

    again = sturgeon(*options, "-o", "json", "--", *command)  # nothing is left to run
    assert again.json["recommended"]["value"] == best.value
    assert shlex.split(again.json["command"]) == found


# --- ends


def test_a_program_that_always_fails_ends_soon_with_its_last_lines(
    sturgeon: Command, server: RunningServer, here: Path
) -> None:
    (here / "broken.py").write_text("print('loading')\nraise SystemExit('no data here')\n")

    ran = sturgeon("tune", "--space", "x=0..1", "--minimize", "loss", "--workers", "1",
                   "--", sys.executable, "broken.py", "{x}")  # fmt: skip

    assert ran.code == 1
    assert "Each of the first 3 attempts has failed" in ran.err
    assert ran.err.strip().endswith("loading\nno data here")
    # The worker goes on until it is told; each attempt begins a new Python, so far fewer than the 50 of the budget.
    assert server.client.studies().items[0].counts["failed"] < 50


def test_ctrl_c_leaves_nothing_running_and_says_how_to_go_on(
    sturgeon: Command, server: RunningServer, here: Path
) -> None:
    (here / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('running').touch()\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        "print('loss=1')\n"
    )
    options = ["tune", "--space", "x=0.0..1", "--minimize", "loss", "--workers", "1", "--trials", "1"]
    command = [*options, "--", sys.executable, "slow.py", "{x}"]
    tune = subprocess.Popen(
        [STURGEON, *command],
        env=clean_environment() | {"STURGEON_SERVER": server.url},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until((here / "running").exists, "the program ran")
    tune.send_signal(signal.SIGINT)
    out, _ = tune.communicate(timeout=DEADLINE_S)

    assert tune.returncode == 130
    assert "Interrupted after 0 trials" in out
    assert "The same command goes on from there." in out
    wait_until(lambda: not programs_in(here), "all of its processes had ended")
    [study] = server.client.studies().items
    assert [trial.state for trial in server.client.trials(study.name).items] == ["queued"]
    (here / "go").touch()
    assert sturgeon(*command).code == 0
    assert [trial.state for trial in server.client.trials(study.name).items] == ["complete"]


def programs_in(folder: Path) -> list[str]:
    """The processes whose current folder is this one, but for our own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == folder and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended
            continue
    return [command for command in found if command]


# --- refused before anything starts


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--space", "lr=0..1", "--minimize", "loss", "--", "./build.sh", "{lrr}"], "{lrr}, which is no parameter"),
        (["--space", "lr=0..1", "--minimize", "loss", "--", "./build.sh", "{lrr}"], "Is it {lr}?"),
        (["--space", "lr=0..1", "--minimize", "loss", "--", "./build.sh", "{lr"], "write {{ for a brace"),
        (["--space", "lr=0..1", "--minimize", "loss", "--", "no-such-program"], "There is no program no-such-program"),
        (["--space", "lr=0..1", "--minimize", "loss", "--", "./plain.py"], "./plain.py is not executable: chmod +x"),
        (["--space", "lr=0..1", "--minimize", "loss"], "Write the command behind --"),
        (["--minimize", "loss", "--", "./build.sh", "8"], "Name what to search"),
        (["--space", "lr=0..1", "--", "./build.sh"], "Name the metric that the command reports or prints"),
        (["--space", "lr=0..1", "--minimize", "a", "--maximize", "b", "--", "./build.sh"], "not both"),
        (["--space", "lr", "--minimize", "loss", "--", "./build.sh"], "write NAME=LOW..HIGH"),
        (["--space", "lr=1e-5", "--minimize", "loss", "--", "./build.sh"], "lr=1e-5: write NAME=LOW..HIGH"),
        (["--space", "lr=lin:0..1", "--minimize", "loss", "--", "./build.sh"], "there is no scale lin"),
        (["--space", "a=0..1", "--space", "a=0..2", "--minimize", "loss", "--", "./build.sh"], "names a twice"),
        (["--space", "a=0..1", "--minimize", "loss", "--read", "loss", "--", "./build.sh"], "METRIC=PATTERN"),
        (
            ["--space", "lr=0..1", "--minimize", "loss", "./build.sh", "--lr", "{lr}"],
            "No such option: --lr. Write the comm",
        ),
        (["--space", "lr=0..1", "--minimize", "loss", "./build.sh", "--seed", "{lr}"], "a whole number"),
        (["--space", "lr=0..1", "--minimize", "loss", "./build.sh", "--seed", "{lr}"], "Write the command behind --"),
        (
            ["--space", "lr=0..1", "--minimize", "loss", "./build.sh", "{lr}", "--seed", "3"],
            "Write the command behind --",
        ),
        (["--space", "lr=0..1", "--minimise", "loss", "--", "./build.sh"], "No such option: --minimise"),
        (["--space", "lr=0..1", "--minimize", "loss", "--", "python", "trian.py"], "There is no file trian.py here"),
        (["--space", "a=0..1", "--minimize", "loss", "--name", "my study", "--", "./build.sh"], "'my study': write at"),
        (["no-such-file.yaml"], "There is no file no-such-file.yaml"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    sturgeon: Command, here: Path, arguments: list[str], sentence: str
) -> None:
    ran = sturgeon("tune", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not (here / ".sturgeon").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"minimize": "loss", "command": "./build.sh"}, "The file needs a space"),
        ({"space": {"x": "0..1"}, "minimize": "loss"}, "The file needs a command, or a task"),
        ({"space": {"x": "0..1"}, "minimize": "loss", "command": "a", "task": {"kind": "x"}}, "not both"),
        ({"space": {"x": "0..1"}, "minimize": "loss", "command": "a {y}"}, "{y}, which is no parameter"),
    ],
)
def test_a_file_that_says_too_little_or_too_much_is_refused(
    sturgeon: Command, here: Path, content: dict[str, Any], sentence: str
) -> None:
    (here / "search.json").write_text(json.dumps(content))

    ran = sturgeon("tune", "search.json")

    assert ran.code == 2
    assert sentence in ran.err


@pytest.mark.usefixtures("here")
def test_a_server_that_does_not_answer_is_told_soon(sturgeon: Command) -> None:
    named = ("--server", "http://127.0.0.1:1")
    began = time.monotonic()

    ran = sturgeon("tune", *named, "--space", "x=0..1", "--minimize", "loss", "--", "./build.sh", "{x}")

    assert ran.code == 3
    assert "http://127.0.0.1:1 did not answer" in ran.err
    assert time.monotonic() - began < 30  # the patience of a search that runs is two minutes


# --- afterwards


def test_other_commands_find_the_embedded_server_of_their_folder(
    sturgeon: Command, server: RunningServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STURGEON_SERVER")
    monkeypatch.setattr(embedded, "server", lambda folder: embedded.EmbeddedServer(server.url, "", folder))
    (here / ".sturgeon").mkdir()
    (here / ".sturgeon" / "token").touch()

    assert sturgeon("study", "list", "-o", "json").json == []


def test_completion_starts_no_server(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".sturgeon").mkdir()
    (here / ".sturgeon" / "token").touch()
    monkeypatch.setattr(embedded, "server", lambda folder: pytest.fail(f"a server of {folder} was started"))

    assert study_names(typer.Context(get_command(app)), "") == []


def test_each_tune_has_a_worker_log_of_its_own_and_old_ones_are_deleted(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    logs = [f"tune-{ended.pid}-abc.log", f"tune-{os.getpid()}-def.log", "server.log", "tune-x-y.log"]
    for log in logs:
        (tmp_path / log).touch()

    remove_old_logs(tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(logs[1:])
    assert worker_name().startswith(f"tune-{os.getpid()}-")
    assert worker_name() != worker_name()
