"""The benchmark of the service measures what it says, and its tables tell a missed target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.service import Arm, measured, summary
from benchmarks.service_clients import Ran
from benchmarks.service_loops import SPACE, in_batches, one_by_one, reports
from benchmarks.service_tables import BEGIN, END, tables, write_tables

if TYPE_CHECKING:
    from tests.running import RunningServer

STUDY: dict[str, Any] = {"name": "speed", "metric": "loss", "space": SPACE, "budget": {"max_trials": 100}}


def test_a_step_of_each_loop_does_what_it_counts(server: RunningServer) -> None:
    server.client.create_study(STUDY | {"search": {"sampler": "random"}})

    assert [one_by_one(server.url, "speed")() for _ in range(2)] == [1, 1]
    assert in_batches(server.url, "speed")() == 64
    step = reports(server.url, "speed", 20)
    assert step() + step() == 40

    study = server.client.study("speed")
    assert (study.counts["complete"], study.counts["running"]) == (66, 1)
    assert len(server.client.trial_metrics("speed", 66, page_size=100).items) == 40


def run(ours: float, theirs: float, server_ms: float) -> dict[str, Any]:
    """What a run found in which both had one client, and the server this CPU time a trial."""
    rates = {"sturgeon": ours, "optuna rdb": theirs}
    arms = []
    for system, rate in rates.items():
        ran = [Ran(units=round(10 * rate), seconds=10.0, cpu_s=1.0, waits_ms=[5.0] * 10)]
        round_ = measured(ran, server_cpu_s=server_ms * 10 * rate / 1e3, database_cpu_s=0.0)
        arms.append(summary(Arm(system, "random", "sqlite", 1), [round_]))
    machine = {"cores": 2, "python": "3.11", "sqlite": "3.40", "postgres": "18", "optuna": "5"}
    facts = {"rounds": 1, "seconds_a_round": 10.0, "took_s": 20.0, "others_cores": 0.0, "machine": machine}
    return facts | {"arms": arms}


@pytest.mark.parametrize(("rate", "ratio", "holds"), [(300.0, "10x", "yes"), (290.0, "9.67x", "**no**")])
def test_the_tables_tell_whether_a_target_holds(rate: float, ratio: str, holds: str) -> None:
    told = tables(run(rate, 30.0, server_ms=3.5))

    assert f"| random, to Optuna's RDB | SQLite, 1 client | 10x or more | {ratio} | {holds} |" in told
    assert "| server's CPU, ask and tell, random | SQLite | 3 ms or less | 3.50 ms | **no** |" in told


def test_new_tables_replace_those_in_the_document(tmp_path: Path) -> None:
    document = tmp_path / "speed.md"
    document.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    results = run(300.0, 30.0, server_ms=3.0)
    write_tables(results, document)

    assert document.read_text() == f"Before.\n{BEGIN}\n{tables(results)}\n{END}\nAfter.\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="has no place"):
        write_tables(results, document)
