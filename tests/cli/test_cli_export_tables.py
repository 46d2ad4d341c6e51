"""`sturgeon study export` of curves, and as parquet."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.processes import LONG_DEADLINE_S, clean_environment
from tests.running import RunningServer
from tests.system.readme import ROOT

PYTHON = ROOT / ".venv-frameworks" / "bin" / "python"


@pytest.fixture
def reported(new_study: RunningServer) -> RunningServer:
    """`bowl` with two reports of trial 0, the second with one metric more, and one of trial 1, which diverged."""
    client = new_study.client
    first, second = client.ask("bowl", 2).leases
    client.report("bowl", 0, first.fence, [{"step": 1, "epoch": 0.5, "metrics": {"loss": 0.5}}])
    client.report("bowl", 0, first.fence, [{"step": 2, "epoch": 1.0, "metrics": {"loss": 0.25, "-accuracy": 0.75}}])
    client.tell("bowl", 0, first.fence, {"loss": 0.25})
    client.report("bowl", 1, second.fence, [{"step": 1, "metrics": {"loss": float("nan")}}])
    client.tell("bowl", 1, second.fence, state="diverged")
    return new_study


@pytest.mark.usefixtures("reported")
def test_curves_have_a_row_for_each_report_and_a_column_for_each_metric(sturgeon: Command) -> None:
    header, *rows = csv.reader(io.StringIO(sturgeon("study", "export", "bowl", "--curves").out))
    assert header == ["trial", "step", "epoch", "at", "loss", "'-accuracy"]  # no formula of a spreadsheet
    assert [[*row[:3], *row[4:]] for row in rows] == [
        ["0", "1", "0.5", "0.5", ""],
        ["0", "2", "1.0", "0.25", "0.75"],
        ["1", "1", "", "", ""],
    ]
    lines = sturgeon("study", "export", "bowl", "--curves", "--format", "jsonl").out.splitlines()
    objects = [json.loads(line) for line in lines]
    assert [(row["trial"], row["step"], row["loss"]) for row in objects] == [(0, 1, 0.5), (0, 2, 0.25), (1, 1, None)]
    assert sturgeon("study", "export", "bowl", "--curves", "-o", "json").json == objects
    trials = sturgeon("study", "export", "bowl", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["state"] for line in trials] == ["complete", "diverged"]


@pytest.mark.usefixtures("new_study")
def test_parquet_without_pyarrow_says_what_to_install(
    sturgeon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    ran = sturgeon("study", "export", "bowl", "--format", "parquet", "--out", tmp_path / "x.parquet")
    assert ran.code == 1
    assert 'pip install "sturgeon[parquet]"' in ran.err
    assert "name a file with --out" in sturgeon("study", "export", "bowl", "--format", "parquet").err


READ = """
import json, sys
from sturgeon.cli.app import run
import pyarrow.parquet
for options, file in ((["--curves"], "curves.parquet"), ([], "trials.parquet")):
    assert run(["study", "export", "bowl", "--format", "parquet", "--out", file, *options]) == 0
    print(json.dumps(pyarrow.parquet.read_table(file).to_pylist(), default=str))
"""


def test_parquet_has_the_same_rows(reported: RunningServer, tmp_path: Path) -> None:
    assert PYTHON.exists(), "make .venv-frameworks/installed makes the environment of this test"
    done = subprocess.run(
        [PYTHON, "-P", "-c", READ],
        cwd=tmp_path,
        env=clean_environment() | {"STURGEON_SERVER": reported.url},
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    curves, trials = map(json.loads, done.stdout.splitlines())
    assert [(row["trial"], row["step"], row["loss"], row["-accuracy"]) for row in curves] == [
        (0, 1, 0.5, None),
        (0, 2, 0.25, 0.75),
        (1, 1, None, None),
    ]
    assert [(row["state"], row["value"]) for row in trials] == [("complete", 0.25), ("diverged", None)]
    assert trials[0]["params.x"] == reported.client.trial("bowl", 0).params["x"]
