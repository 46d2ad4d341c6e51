"""The speed of the service beside Optuna's storages, on both databases: trials and reports a second, and CPU time.

    make bench-service

Each arm is a kind of client on a kind of database, with 1, 4 or 16 client processes. All arms run one after the
other, for a few seconds, and that several times, so what slows the machine down slows all arms down. An arm's study is
new in each round; one that a model draws for begins with 64 finished trials. Beside them runs what the database itself
can do at most: rows with a durable commit each. With --write the figures go to benchmarks/results/service.json and
the tables to docs/speed.md, which tells how to read them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import psutil

from benchmarks.results_file import add_write_option, write_results
from benchmarks.service_clients import Clients, Ran
from benchmarks.service_systems import System, optuna_study, our_study, systems
from benchmarks.service_tables import tables, write_tables

KINDS: Final = ("sqlite", "postgres")
CLIENTS: Final = (1, 4, 16)
BEGUN: Final = 64
"""So many finished trials has a study for which a model draws: else its first trials would be drawn without one."""
MANY: Final = 1_000


@dataclass(frozen=True)
class Arm:
    """What is measured: `system` is sturgeon, optuna rdb, optuna journal, or database (plain commits)."""

    system: str
    work: str
    database: str
    clients: int

    @property
    def name(self) -> str:
        return f"{self.system}, {self.work}, {self.database}, {self.clients}"

    def target(self, on: System, study: str) -> tuple[str, dict[str, Any]]:
        """The loop of its clients, and what it is given; the study is created."""
        if self.system == "database":
            return "commits", {"url": on.plain}
        if self.system == "optuna journal":
            return "optuna_one_by_one", optuna_study(on.journal, study, self.work, 0)
        if self.system == "optuna rdb":
            return "optuna_one_by_one", optuna_study(on.optuna, study, self.work, BEGUN if self.work == "TPE" else 0)
        sampler, finished = "random", 0
        if self.work.startswith("coarse_to_fine"):
            sampler, finished = "coarse_to_fine", MANY if self.work.endswith("finished") else BEGUN
        found = our_study(on, study, sampler, finished)
        if self.work.startswith("reports"):
            return "reports", found | {"at_once": 20 if self.work.endswith("20") else 1}
        return ("in_batches" if self.work.startswith("batches") else "one_by_one"), found


def all_arms(kinds: list[str]) -> list[Arm]:
    arms: list[Arm] = []
    for clients in CLIENTS:
        for kind in kinds:
            arms += [Arm("sturgeon", sampler, kind, clients) for sampler in ("random", "coarse_to_fine")]
            arms += [Arm("optuna rdb", sampler, kind, clients) for sampler in ("random", "TPE")]
            if kind == "sqlite":
                arms.append(Arm("optuna journal", "random", kind, clients))
            if kind == "postgres" or clients == 1:
                arms.append(Arm("database", "commits", kind, clients))
    for kind in kinds:
        arms += [Arm("sturgeon", work, kind, 4) for work in ("batches of 64", "reports of 20", "reports")]
        arms.append(Arm("sturgeon", f"coarse_to_fine at {MANY} finished", kind, 1))
        arms.append(Arm("sturgeon", "reports", kind, 1))
    return arms


def one_round(arm: Arm, on: System, clients: Clients, study: str, seconds: float) -> dict[str, Any]:
    clients.prepare(arm.clients, *arm.target(on, study))
    server, database = on.server_cpu_s(), on.database_cpu_s()
    ran = clients.run(arm.clients, seconds)
    return measured(ran, on.server_cpu_s() - server, on.database_cpu_s() - database)


def measured(ran: list[Ran], server_cpu_s: float, database_cpu_s: float) -> dict[str, Any]:
    """Of one round: units a second, CPU milliseconds a unit and a call, and how long a step took."""
    units, waits = sum(one.units for one in ran), [wait for one in ran for wait in one.waits_ms]
    calls = max(1, len(waits))
    spent = {"server": server_cpu_s, "database": database_cpu_s, "clients": sum(one.cpu_s for one in ran)}
    errors = [error for one in ran for error in one.errors]
    return {
        "per_s": sum(one.units / one.seconds for one in ran),
        "units": units,
        "cpu_ms": {who: 1e3 * seconds / max(1, units) for who, seconds in spent.items()},
        "cpu_ms_a_call": {who: 1e3 * seconds / calls for who, seconds in spent.items()},
        "p50_ms": median(waits),
        "p99_ms": quantiles(waits, n=100)[-1] if len(waits) > 1 else waits[0],
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
    }


def summary(arm: Arm, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of the rounds, and their spread."""
    rates = [one["per_s"] for one in rounds]
    of = {"system": arm.system, "work": arm.work, "database": arm.database, "clients": arm.clients}
    found = of | {"per_s": median(rates), "lowest_per_s": min(rates), "highest_per_s": max(rates)}
    for per in ("cpu_ms", "cpu_ms_a_call"):
        found[per] = {who: median(one[per][who] for one in rounds) for who in rounds[0][per]}
    found |= {what: median(one[what] for one in rounds) for what in ("p50_ms", "p99_ms")}
    return found | {"errors": sum(one["errors"] for one in rounds), "rounds": rounds}


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - times.guest - times.guest_nice)


def measure(arms: list[Arm], rounds: int, seconds: float) -> dict[str, Any]:
    found: dict[Arm, list[dict[str, Any]]] = {arm: [] for arm in arms}
    kinds = sorted({arm.database for arm in arms})
    begin, busy, ours = time.monotonic(), _busy_s(), 0.0
    with (
        tempfile.TemporaryDirectory(prefix="sturgeon-bench-") as folder,
        Clients(max(arm.clients for arm in arms)) as clients,
        systems(Path(folder), kinds) as ons,
    ):
        for number in range(rounds):
            for place, arm in enumerate(arms):
                found[arm].append(one_round(arm, ons[arm.database], clients, f"s{number}-{place}", seconds))
                last = found[arm][-1]
                failed = f", {last['errors']} errors: {last['first_error']}" if last["errors"] else ""
                print(f"{number + 1}/{rounds} {arm.name}: {last['per_s']:.0f}/s{failed}", file=sys.stderr, flush=True)
        ours = sum(_tree_cpu_s(psutil.Process()))
    took = time.monotonic() - begin
    return {
        "rounds": rounds,
        "seconds_a_round": seconds,
        "took_s": took,
        "others_cores": max(0.0, (_busy_s() - busy - ours) / took),
        "machine": _machine(),
        "arms": [summary(arm, ran) for arm, ran in found.items()],
    }


def _tree_cpu_s(process: psutil.Process) -> list[float]:
    return [sum(one.cpu_times()[:4]) for one in (process, *process.children(recursive=True))]


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgres": "18",
        "optuna": version("optuna"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each arm in each round")
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--only", nargs="+", default=[""], help="arms whose names have one of these words")
    add_write_option(parser, "service")
    arguments = parser.parse_args()
    arms = [arm for arm in all_arms(arguments.databases) if any(word in arm.name for word in arguments.only)]
    rounds, seconds = (1, 1.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    results = measure(arms, rounds, seconds)
    print(tables(results))
    if arguments.write:
        write_results("service", json.loads(json.dumps(results)))
        write_tables(results)


if __name__ == "__main__":
    main()
