"""All metrics of all trials in one file."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.services.shown import all_metrics
from server.store import curve_points
from sturgeon.messages import Study
from tests.processes import LONG_DEADLINE_S, clean_environment
from tests.server.studies import refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

PYTHON = Path(__file__).parents[3] / ".venv-frameworks" / "bin" / "python"


@pytest.fixture
def reported(server: RunningServer, bowl: Study) -> list[tuple[int, int]]:
    """Three trials with reports; (trial, step) of each."""
    places = []
    for lease in server.client.ask(bowl.name, count=3).leases:
        told = [
            {"step": step, "epoch": step / 2, "metrics": {"loss": lease.number + step / 8, "@cmd()": None, "step": 9.0}}
            for step in range(1, 4)
        ]
        server.client.report(bowl.name, lease.number, lease.fence, told)
        places += [(lease.number, step) for step in range(1, 4)]
    return places


def test_all_reports_come_by_trial_and_step(
    server: RunningServer, reported: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_metrics, "TRIALS", 2)
    monkeypatch.setattr(curve_points, "FEW", 2)

    rows = [json.loads(line) for line in server.client.metrics("bowl")]

    assert [(row["trial"], row["step"]) for row in rows] == reported
    assert rows[4] == {
        "trial": 1, "step": 2, "epoch": 1.0, "at": "2026-01-01T12:00:00+00:00", "loss": 1.25, "@cmd()": None
    }  # fmt: skip


@pytest.mark.usefixtures("reported")
def test_a_csv_of_metrics_runs_no_formula(http: httpx.Client) -> None:
    answer = http.get("/v1/studies/bowl/metrics")

    assert answer.headers["content-type"].startswith("text/csv")
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["trial", "step", "epoch", "at", "'@cmd()", "loss"]
    assert rows[0] == ["0", "1", "0.5", "2026-01-01T12:00:00+00:00", "", "0.125"]
    assert len(rows) == 9


@pytest.mark.usefixtures("reported")
def test_a_server_that_cannot_write_parquet_says_what_is_missing(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    answer = http.get("/v1/studies/bowl/metrics?format=parquet")

    assert refusal(answer) == (409, "wrong_state")
    assert "sturgeon[parquet]" in answer.json()["detail"]


WRITE = """
import io, json, os, sys
from server.services.shown import all_metrics
from server.store.engine import Database
from pyarrow import parquet
all_metrics.GROUP = 4
file = io.BytesIO(b"".join(all_metrics.all_metrics(Database(sys.argv[1]), "bowl", "parquet")))
table = parquet.read_table(file)
kinds = {one.name: str(one.type) for one in table.schema}
print(json.dumps({"kinds": kinds, "rows": table.to_pylist()}, default=str), flush=True)
os._exit(0)  # pyarrow's threads may abort the process while Python ends
"""


@pytest.mark.usefixtures("reported")
def test_parquet_has_the_same_rows(server: RunningServer, tmp_path: Path) -> None:
    assert PYTHON.exists(), "make .venv-frameworks/installed makes the environment of this test"
    url = server.app.state.settings.database_url
    done = subprocess.run(
        [PYTHON, "-P", "-c", WRITE, url],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kinds"] == {
        "trial": "int64", "step": "int64", "epoch": "double", "at": "timestamp[us, tz=UTC]",
        "@cmd()": "double", "loss": "double",
    }  # fmt: skip
    expected = list(map(json.loads, server.client.metrics("bowl")))
    assert found["rows"] == [row | {"at": row["at"].replace("T", " ")} for row in expected]
    assert len(expected) == 9
