"""All metrics of all trials in one file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from server.services.shown import all_metrics
from server.store import curve_points
from sturgeon.messages import Study
from tests.server.studies import refusal

if TYPE_CHECKING:
    from tests.running import RunningServer


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
def test_parquet_has_the_same_rows_or_says_what_is_missing(server: RunningServer, http: httpx.Client) -> None:
    try:
        from pyarrow import parquet
    except ImportError:
        answer = http.get("/v1/studies/bowl/metrics?format=parquet")
        assert refusal(answer) == (409, "wrong_state")
        assert "parquet" in answer.json()["detail"]
        return
    file = io.BytesIO()
    server.client.download_metrics("bowl", file, "parquet")
    rows = parquet.read_table(file).to_pylist()
    assert [(row["trial"], row["step"], row["loss"]) for row in rows] == [
        (row["trial"], row["step"], row["loss"]) for row in map(json.loads, server.client.metrics("bowl"))
    ]
