"""The integrations with the real Keras, Lightning and PyTorch, in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sturgeon.client import Client
from tests.processes import LONG_DEADLINE_S, STURGEON, ServerProcess, clean_environment
from tests.stand_ins import stand_ins
from tests.system.readme import ROOT, blocks, run
from tests.system.test_own_code_session import END_ALL, SESSION, assert_the_weights_are_those_of_the_schedule

if TYPE_CHECKING:
    from tests.running import RunningServer

PYTHON = ROOT / ".venv-frameworks" / "bin" / "python"
FRAMEWORKS = {"KERAS_BACKEND": "torch"}

IMPORTED = ["torch", "torch._dynamo", "keras", "lightning.pytorch", "sklearn.datasets"]

pytestmark = pytest.mark.xdist_group("frameworks")  # one process of pytest-xdist has them all, and imports once


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The environment's Python, which has imported the frameworks, but nothing of ours."""
    assert PYTHON.exists(), "make .venv-frameworks/installed makes the environment of these tests"
    with stand_ins(tmp_path_factory.mktemp("python"), PYTHON, IMPORTED, FRAMEWORKS, {"python": None}) as folder:
        yield folder / "python"


def environment(**more: str) -> dict[str, str]:
    return clean_environment() | FRAMEWORKS | more


def checked(python: Path, script: str, folder: Path, **more: str) -> str:
    """What a script of `frameworks` prints, in the folder of the project's files; it ends with "checked"."""
    (folder / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [python, "-P", ROOT / "tests" / "tuning" / "frameworks" / script],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("checked\n")
    return done.stdout


def assert_searched(server: RunningServer, study: str, metric: str, metrics: set[str], steps: list[int]) -> None:
    """Two trials of three epochs, whose curves have all metrics."""
    trials = list(server.client.all_trials(study))
    assert [trial.state for trial in trials] == ["complete", "complete"]
    for trial in trials:
        curve = server.client.trial_metrics(study, trial.number).items
        assert [(report.step, report.epoch) for report in curve] == list(zip(steps, (1, 2, 3), strict=True))
        assert all(set(report.metrics) == metrics for report in curve)
        assert trial.value == curve[-1].metrics[metric]
    assert server.client.best(study).recommended is not None


def test_keras_reports_stops_and_follows_live_parameters(python: Path, server: RunningServer, tmp_path: Path) -> None:
    checked(python, "keras_checks.py", tmp_path, STURGEON_SERVER=server.url)
    metrics = {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert_searched(server, "keras-digits", "val_loss", metrics, [1, 2, 3])


def test_lightning_reports_and_stops(python: Path, server: RunningServer, tmp_path: Path) -> None:
    checked(python, "lightning_checks.py", tmp_path, STURGEON_SERVER=server.url)
    assert_searched(server, "lightning-digits", "dev_loss", {"dev_loss", "dev_error"}, [19, 38, 57])


def test_a_torch_loop_goes_on_bit_for_bit_from_its_folder(python: Path, tmp_path: Path) -> None:
    lines = [line for line in checked(python, "torch_checks.py", tmp_path).splitlines() if line.startswith("STURGEON ")]
    reports = [json.loads(line.removeprefix("STURGEON ")) for line in lines]
    assert [report["step"] for report in reports] == list(range(1, 21))
    assert reports[-1]["dev_error"] < reports[0]["dev_error"]


LOOP = """
import time
import torch
import sturgeon
from sturgeon.integrations.torch import Loop

trial = sturgeon.trial()
model = torch.nn.ParameterList([torch.tensor(5.0, dtype=torch.float64)])
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
loop = Loop(trial, trial.params["epochs"], live={"lr": "lr"}, model=model, optimizer=optimizer)
for epoch in loop:
    optimizer.zero_grad()
    (model[0] ** 2).backward()
    optimizer.step()
    loop.report(loss=float(model[0].detach()) ** 2)
    time.sleep(0.05)
"""


def test_a_torch_loop_is_steered_paused_forked_and_rolled_back(
    python: Path, tmp_path: Path, server_process: Callable[..., ServerProcess], forked_commands: str
) -> None:
    """The session of docs/own-code.md, with a loop of PyTorch in the place of its own."""
    server = server_process()
    script = "\n".join(blocks(SESSION)).replace("http://127.0.0.1:8000", server.url)
    start, end = "cat > loop.py <<'END'", "\nEND\n"
    head, _, rest = script.partition(start)
    script = f"{END_ALL}{head}{start}{LOOP}END\n{rest.partition(end)[2]}"
    run(
        script,
        tmp_path,
        **FRAMEWORKS,
        STURGEON_SERVER=server.url,
        PATH=os.pathsep.join((str(python.parent), forked_commands)),
    )
    with Client(server.url) as client:
        entries = client.timeline("loop", 0).items
        verbs = ["params", "pause", "resume", "checkpoint", "params", "rollback", "stop"]
        assert [one.verb for one in entries] == verbs
        assert_the_weights_are_those_of_the_schedule(client, entries[0].from_step, entries[5].restore)


SCRIPT = """
import argparse
import torch
from sklearn.datasets import load_digits

options = argparse.ArgumentParser()
options.add_argument("--lr", type=float, default=1e-5)
lr = options.parse_args().lr
torch.manual_seed(0)
X, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
X = X.float() / 16
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr)
for epoch in range(3):
    for rows in torch.randperm(1200).split(64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: val_loss={float(torch.nn.functional.cross_entropy(model(X[1200:]), y[1200:])):.4f}")
"""


def test_tune_improves_a_torch_script_that_knows_nothing_of_it(python: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [
        STURGEON,
        "tune",
        "--space",
        "lr=log:1e-5..1e-1",
        "--minimize",
        "val_loss",
        "--trials",
        "4",
        "-o",
        "json",
    ]
    command += ["--read", r"val_loss=val_loss=([0-9.]+)", "--seed", "3"]
    given = environment(PATH=os.pathsep.join(map(str, (python.parent, os.environ["PATH"]))))

    def ran(*arguments: str | Path) -> str:
        done = subprocess.run(
            arguments, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=LONG_DEADLINE_S, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    by_default = float(ran(python, "train.py").rpartition("val_loss=")[2])
    found = json.loads(ran(*command, "--", "python", "train.py", "--lr", "{lr}"))
    assert found["best"][0]["value"] < by_default / 2
    lr = found["recommended"]["params"]["lr"]
    assert found["command"] == f"python train.py --lr {lr}"
