"""The databases and servers that benchmarks/service.py measures, and the studies in them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.service_loops import SPACE, drawn, loss, optuna_storage
from sturgeon.cli.processes import Processes
from sturgeon.client import Client
from sturgeon.messages import ImportedTrial
from tests.postgres import Postgres

IMPORTED_AT_ONCE: Final = 500
WARM_UPS: Final = 3


@dataclass(frozen=True)
class System:
    """One kind of database: a server of ours on it, the address of a database for Optuna, and one for plain commits.

    server, database: the processes whose CPU time counts; of SQLite there is none for the database.
    """

    address: str
    optuna: str
    plain: str
    journal: str
    server: psutil.Process
    database: psutil.Process | None

    def server_cpu_s(self) -> float:
        """CPU time that the server has spent so far."""
        return _cpu_s(self.server)

    def database_cpu_s(self) -> float:
        """CPU time that PostgreSQL has spent so far; 0 with SQLite, whose work is done in the server or the client."""
        return 0.0 if self.database is None else _cpu_s(self.database)


def _cpu_s(process: psutil.Process) -> float:
    spent = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it has just ended, and its parent has its time
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


@contextmanager
def systems(folder: Path, kinds: list[str]) -> Iterator[dict[str, System]]:
    """A server on each kind of database. What PostgreSQL commits is on the disk, as with a real installation."""
    with ExitStack() as stack:
        found: dict[str, System] = {}
        journal = str(folder / "journal.log")
        if "sqlite" in kinds:
            ours, optuna, plain = (f"sqlite:///{folder / name}.db" for name in ("sturgeon", "optuna", "plain"))
            address, server = _server(stack, folder / "sqlite", ours)
            found["sqlite"] = System(address, optuna, plain, journal, server, None)
        if "postgres" in kinds:
            postgres = Postgres(durable=True)
            stack.callback(postgres.remove)
            postgres.start()
            ours, optuna, plain = (postgres.create_database(name) for name in ("sturgeon", "optuna", "plain"))
            address, server = _server(stack, folder / "postgres", ours)
            driver = optuna.replace("postgresql://", "postgresql+psycopg://")
            found["postgres"] = System(address, driver, plain, journal, server, psutil.Process(postgres.pid))
        yield found


def _server(stack: ExitStack, folder: Path, url: str) -> tuple[str, psutil.Process]:
    folder.mkdir()
    if url.startswith("postgresql"):
        from server.store.schema import migrate

        migrate(url)
    processes = stack.enter_context(Processes(folder, env={"STURGEON_DATABASE_URL": url}))
    address = processes.start_server()
    [(_, server)] = processes.running
    return address, psutil.Process(server.pid)


def our_study(system: System, name: str, sampler: str, finished: int) -> dict[str, Any]:
    """Create a study with so many finished trials; what a loop needs to find it."""
    with Client(system.address) as client:
        client.create_study(
            {
                "name": name,
                "metric": "loss",
                "space": SPACE,
                "search": {"sampler": sampler},
                "budget": {"max_trials": 1_000_000},
            }
        )
        begun = _imported(finished)
        for at in range(0, finished, IMPORTED_AT_ONCE):
            client.import_trials(name, begun[at : at + IMPORTED_AT_ONCE])
        if finished:  # the first model is fitted before the clock runs, as Optuna's imports are
            for _ in range(WARM_UPS):
                [lease] = client.ask(name).leases
                client.tell(name, lease.number, lease.fence, {"loss": loss(lease.params)})
    return {"address": system.address, "study": name}


def _imported(finished: int) -> list[ImportedTrial]:
    chance, now = random.Random(finished), datetime.fromtimestamp(time.time(), UTC)
    points = [drawn(chance) for _ in range(finished)]
    return [
        ImportedTrial(
            key=f"made:{number}",
            params=params,
            state="complete",
            metrics={"loss": loss(params)},
            started_at=now,
            finished_at=now,
        )
        for number, params in enumerate(points)
    ]


def optuna_study(url: str, name: str, sampler: str, finished: int) -> dict[str, Any]:
    """Create a study with so many finished trials; what a loop needs to find it."""
    import optuna

    study = optuna.create_study(study_name=name, storage=optuna_storage(url))
    chance = random.Random(finished)
    points = [drawn(chance) for _ in range(finished)]
    study.add_trials(
        [
            optuna.trial.create_trial(value=loss(params), params=params, distributions=_distributions())
            for params in points
        ]
    )
    return {"url": url, "study": name, "sampler": sampler}


def _distributions() -> dict[str, Any]:
    import optuna

    kinds = optuna.distributions
    made: dict[str, Any] = {}
    for name, of in SPACE.items():
        if of["type"] == "choice":
            made[name] = kinds.CategoricalDistribution(of["values"])
        else:
            kind = kinds.IntDistribution if of["type"] == "int" else kinds.FloatDistribution
            made[name] = kind(of["low"], of["high"], log=of.get("scale") == "log")
    return made
