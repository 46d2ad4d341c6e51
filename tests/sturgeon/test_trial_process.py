"""What a user's program knows of its trial, by the module, by the command, and by hand."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sturgeon import objective, trial_process
from sturgeon.trial_process import TrialProcess, folder_state, report_command

FILES = (trial_process.__file__, objective.__file__)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "checkpoint").mkdir()
    return {
        "STURGEON_STUDY": "digits",
        "STURGEON_NUMBER": "4",
        "STURGEON_SEED": "7",
        "STURGEON_REPORTS": str(tmp_path / "reports"),
        "STURGEON_DESIRED": str(tmp_path / "desired"),
        "STURGEON_CHECKPOINT": str(tmp_path / "checkpoint"),
    }


def write_desired(environment: dict[str, str], **desired: Any) -> None:
    """As the worker does: the file is replaced."""
    path = Path(environment["STURGEON_DESIRED"])
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"version": 0, "params": {}, "stop": False, "pause": False} | desired))
    beside.replace(path)


def lines(environment: dict[str, str]) -> list[dict[str, Any]]:
    path = Path(environment["STURGEON_REPORTS"])
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_program_reads_what_is_desired_as_it_changes_and_says_so_once(environment: dict[str, str]) -> None:
    write_desired(environment, params={"lr": 0.1})
    trial = TrialProcess(environment)
    assert (trial.study, trial.number, trial.seed) == ("digits", 4, 7)

    assert trial.params == trial.params == {"lr": 0.1}
    write_desired(environment, version=3, params={"lr": 0.2})
    assert trial.params == {"lr": 0.2}
    assert not trial.should_stop
    write_desired(environment, version=4, params={"lr": 0.2}, stop=True)
    assert (trial.should_stop, trial.should_pause) == (True, False)

    assert lines(environment) == [
        {"sturgeon": "read", "version": 0},
        {"sturgeon": "read", "version": 3},
        {"sturgeon": "asked"},
    ]


def test_reports_are_numbers_of_any_library_and_names_may_be_any(environment: dict[str, str]) -> None:
    class Scalar:
        def __float__(self) -> float:
            return 0.5

    trial = TrialProcess(environment)
    trial.report(3, epoch=1, loss=Scalar(), **{"val/loss": 1})
    trial.report(loss=float("nan"), left_out=None)

    first, second = lines(environment)
    assert first == {"step": 3, "epoch": 1.0, "loss": 0.5, "val/loss": 1.0}
    assert list(second) == ["loss"]
    with pytest.raises(TypeError, match="loss has to be a number, not 'low'"):
        trial.report(loss="low")


def test_the_state_of_the_folder_goes_with_a_save(environment: dict[str, str]) -> None:
    trial = TrialProcess(environment)
    folder = trial.checkpoint
    assert folder is not None
    (folder / "model").write_text("1")
    before = folder_state(folder)

    trial.saved(5)
    (folder / "model").write_text("2")

    assert lines(environment) == [{"sturgeon": "saved", "step": 5, "state": before}]
    assert folder_state(folder) != before


def test_by_hand_a_trial_prints_and_takes_its_parameters_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--params", '{"lr": 0.3}'])

    trial = TrialProcess({})
    trial.report(1, loss=0.5)

    assert trial.params == {"lr": 0.3}
    assert (trial.should_stop, trial.should_pause, trial.checkpoint, trial.study) == (False, False, None, "")
    assert capsys.readouterr().out == 'STURGEON {"step": 1, "loss": 0.5}\n'


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--step", "3", "dev_loss=0.2", "acc=1"], [{"step": 3, "dev_loss": 0.2, "acc": 1.0}], 0),
        (["--epoch", "2", "val/loss=nan"], [{"epoch": 2.0, "val/loss": float("nan")}], 0),
        (["--stopped"], [{"sturgeon": "asked"}], 10),
        (["loss=1", "--stopped"], [{"loss": 1.0}, {"sturgeon": "asked"}], 10),
    ],
)
def test_a_shell_script_reports_and_asks_whether_it_shall_stop(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: list[dict[str, Any]],
    code: int,
) -> None:
    write_desired(environment, version=1, stop=True)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(trial_process, "_current", None)

    assert report_command(arguments) == code
    assert repr(lines(environment)) == repr(said)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_shell_script_gets_what_it_reported_as_json(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], by_hand: bool
) -> None:
    for name, value in ({} if by_hand else environment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(trial_process, "_current", None)

    assert report_command(["-o", "json", "--step", "3", "loss=0.5", "acc=nan", "--saved", "3", "--stopped"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "step": 3,
        "epoch": None,
        "metrics": {"loss": 0.5, "acc": None},
        "saved": 3,
        "stop": False,
    }
    if not by_hand:
        assert [line.get("sturgeon", "a report") for line in lines(environment)] == ["a report", "saved", "asked"]


def test_what_is_no_metric_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        report_command(["loss:0.2"])

    assert error.value.code == 2
    assert "'loss:0.2' is no metric: write NAME=NUMBER" in capsys.readouterr().err


def test_the_command_is_there_before_the_command_line_is_imported(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['sturgeon', 'report', 'loss=1']\n"
        "import atexit\n"
        "atexit.register(lambda: print(sorted({'typer', 'pydantic', 'httpx', 'rich'} & set(sys.modules))))\n"
        "from sturgeon.cli.__main__ import main; main()"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (done.returncode, done.stdout.splitlines()) == (0, ['STURGEON {"loss": 1.0}', "[]"]), done.stderr


@pytest.mark.parametrize("file", FILES)
def test_what_a_users_interpreter_runs_needs_only_python_3_9_and_its_library(file: str) -> None:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"), feature_version=(3, 9))

    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
