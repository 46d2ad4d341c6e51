"""What one client process of benchmarks/service.py does again and again, a function for each kind of arm.

Each function opens what the loop needs, outside of the measured time, and returns the step: it does one round trip
and returns how many trials it ended, or steps it reported.
"""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from typing import Any, Final

from sturgeon.client import Client

SPACE: Final[dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1e-1, "scale": "log"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    "dropout": {"type": "float", "low": 0.0, "high": 0.6},
    "hidden_units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
    "activation": {"type": "choice", "values": ["relu", "tanh", "sigmoid"]},
}
"""Five parameters of the usual kinds."""

BATCH: Final = 64
LEASE_S: Final = 3600

Step = Callable[[], int]


def loss(params: Mapping[str, Any]) -> float:
    """A valley with a floor; to work it out costs nothing beside the calls that are measured."""
    rate = (math.log10(params["learning_rate"]) + 3) ** 2
    width = (math.log2(params["hidden_units"]) - 7) ** 2
    sigmoid = 0.3 * (params["activation"] == "sigmoid")
    return float(rate + 0.1 * width + (params["momentum"] - 0.9) ** 2 + (params["dropout"] - 0.2) ** 2 + sigmoid)


def drawn(chance: random.Random) -> dict[str, Any]:
    """Parameters of a trial that a study begins with."""
    return {
        "learning_rate": 10 ** chance.uniform(-5, -1),
        "momentum": chance.uniform(0, 0.99),
        "dropout": chance.uniform(0, 0.6),
        "hidden_units": round(2 ** chance.uniform(4, 9)),
        "activation": chance.choice(["relu", "tanh", "sigmoid"]),
    }


@cache
def _client(address: str) -> Client:
    return Client(address)


def one_by_one(address: str, study: str) -> Step:
    """Ask one trial, tell its result."""
    client = _client(address)

    def step() -> int:
        [lease] = client.ask(study).leases
        client.tell(study, lease.number, lease.fence, {"loss": loss(lease.params)})
        return 1

    return step


def in_batches(address: str, study: str) -> Step:
    """Ask so many trials at once, and tell all their results at once."""
    client = _client(address)

    def step() -> int:
        leases = client.ask(study, count=BATCH).leases
        tells = [
            {"number": lease.number, "fence": lease.fence, "metrics": {"loss": loss(lease.params)}} for lease in leases
        ]
        answers = client.tell_many(study, tells).items
        refused = [answer.detail for answer in answers if answer.trial is None]
        if refused:
            raise RuntimeError(f"{len(refused)} tells were refused: {refused[0]}")
        return len(answers)

    return step


def reports(address: str, study: str, at_once: int) -> Step:
    """Report the next steps of a trial, so many in a call."""
    client = _client(address)
    [lease] = client.ask(study, lease_s=LEASE_S).leases
    steps = count(1)

    def step() -> int:
        told = [{"step": next(steps), "metrics": {"loss": 0.5, "accuracy": 0.8}} for _ in range(at_once)]
        client.report(study, lease.number, lease.fence, told)
        return at_once

    return step


@cache
def optuna_storage(url: str) -> Any:
    """A storage of Optuna: of an address of SQLAlchemy its RDB storage, of a path its journal file."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if "://" in url:
        return optuna.storages.RDBStorage(url)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(url))


def optuna_one_by_one(url: str, study: str, sampler: str) -> Step:
    """Ask one trial, suggest its parameters, tell its result."""
    import optuna

    samplers: dict[str, Any] = {"random": optuna.samplers.RandomSampler, "TPE": optuna.samplers.TPESampler}
    loaded = optuna.load_study(study_name=study, storage=optuna_storage(url), sampler=samplers[sampler]())

    def step() -> int:
        trial = loaded.ask()
        loaded.tell(trial, loss({name: _suggested(trial, name, of) for name, of in SPACE.items()}))
        return 1

    return step


def _suggested(trial: Any, name: str, of: Mapping[str, Any]) -> Any:
    if of["type"] == "choice":
        return trial.suggest_categorical(name, of["values"])
    suggest = trial.suggest_int if of["type"] == "int" else trial.suggest_float
    return suggest(name, of["low"], of["high"], log=of.get("scale") == "log")


def commits(url: str) -> Step:
    """A row and a durable commit: what the database can do at most, one transaction after the other."""
    if url.startswith("sqlite:///"):
        return _sqlite_commits(url.removeprefix("sqlite:///"))
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE IF NOT EXISTS floor (id bigserial PRIMARY KEY, content text)")

    def step() -> int:
        connection.execute("INSERT INTO floor (content) VALUES (%s)", ("x" * 100,))
        return 1

    return step


def _sqlite_commits(file: str) -> Step:
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE IF NOT EXISTS floor (id integer PRIMARY KEY, content text)",
    ):
        connection.execute(statement)

    def step() -> int:
        connection.execute("INSERT INTO floor (content) VALUES (?)", ("x" * 100,))
        return 1

    return step


LOOPS: Final[dict[str, Callable[..., Step]]] = {
    loop.__name__: loop for loop in (one_by_one, in_batches, reports, optuna_one_by_one, commits)
}
