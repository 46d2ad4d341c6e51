"""The benchmark of scale measures what it says, and its table has a line for each run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.scale import Measured
from benchmarks.scale_rows import SPACE, copies, fill
from benchmarks.scale_table import BEGIN, COLUMNS, END, table, write_table

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_filled_study_is_one_that_a_server_goes_on_with(server: RunningServer) -> None:
    server.client.create_study({"name": "many", "metric": "loss", "space": SPACE, "budget": {"max_trials": 1000}})
    copies(server.app.state.database, "many", 30)
    fill(server.app.state.database, "many", 200)

    study = server.client.study("many")
    assert study.counts == {"complete": 176, "pruned": 20, "failed": 4}
    measured = Measured(server.client, psutil.Process())
    measured.run("ask", lambda: server.client.ask("many"), 2)
    assert server.client.trial("many", 201).drawn.model == "gp"
    assert measured.found["ask"]["p50_ms"] > 0
    assert server.client.ask("many-29").leases[0].number == 0
    assert len(server.client.studies(page_size=100).items) == 31


def test_the_table_stands_between_its_marks(tmp_path: Path) -> None:
    found = {"p50_ms": 1.0, "p99_ms": 2.4, "server_cpu_ms": 0.5}
    run = {"size": 1000, "sampler": "random", "requests": dict.fromkeys(COLUMNS, found), "rss_mb": 99.6}
    studies = {"studies": 10, "requests": {"page": found}, "rss_mb": 1.0}
    results = {"trials": {"sqlite": [run]}, "studies": {"sqlite": studies}}
    document = tmp_path / "speed.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write_table(results, document)

    text = document.read_text()
    assert text == f"before\n{BEGIN}\n{table(results)}\n{END}\nafter\n"
    assert "| SQLite | random | 1,000 | 2 (0.5) |" in text
    assert text.count("100 MB") == 1
