"""Very many trials in one study, and very many studies in one database, through a server of ours.

Run it with `make bench-scale`. The databases are filled by their own statements; what is measured goes through HTTP.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import psutil
import sqlalchemy as sa

from benchmarks.results_file import add_write_option, write_results
from benchmarks.scale_rows import SPACE, copies, fill
from benchmarks.scale_table import table, write_table
from server.services.studies.stored_sums import SumStore
from server.store import amounts
from server.store.engine import Database
from server.store.schema import migrate
from sturgeon.cli.processes import Processes
from sturgeon.client import Client
from tests.postgres import Postgres

SIZES: Final = (1_000, 100_000, 999_000)
"""A study has 1,000,000 trials at most, and some are asked for here."""
STUDIES: Final = 10_000
ASKS: Final = 200
SAMPLERS: Final = ("random", "coarse_to_fine")


@contextmanager
def database_urls(folder: Path, kinds: list[str]) -> Iterator[dict[str, str]]:
    urls = {"sqlite": f"sqlite:///{folder / 'sturgeon.db'}"} if "sqlite" in kinds else {}
    if "postgres" not in kinds:
        yield urls
        return
    postgres = Postgres(durable=True)
    try:
        postgres.start()
        yield urls | {"postgres": postgres.create_database("scale")}
    finally:
        postgres.remove()


def make_studies(folder: Path, url: str, sizes: list[int], studies: int) -> None:
    """A study of each size, and `studies` without trials."""
    with Processes(folder, env={"STURGEON_DATABASE_URL": url}) as processes, Client(processes.start_server()) as client:
        for name in ("empty", *(f"trials-{size}" for size in sizes)):
            client.create_study({"name": name, "metric": "loss", "space": SPACE, "budget": {"max_trials": 1_000_000}})
    database = Database(url)
    copies(database, "empty", studies)
    for size in sizes:
        begun = time.monotonic()
        fill(database, f"trials-{size}", size)
        print(f"{size} trials in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    settle(database)


def settle(database: Database) -> None:
    """What would come of such studies while their trials end: their sums are stored, and what was written is on the
    disk, not still on its way there while asks are measured."""
    sums = SumStore(database)
    with database.reading() as tx:
        amounts.of_studies(tx, list(tx.execute(sa.text("SELECT id FROM studies WHERE next_number > 0")).scalars()))
    sums.step()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_sqlite = database.engine.dialect.name == "sqlite"
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "CHECKPOINT"))
    database.dispose()


def draw_by(url: str, sampler: str) -> None:
    """Have all studies draw so from now on; no server runs."""
    database = Database(url)
    with database.writing() as tx:
        tx.execute(sa.text("UPDATE studies SET sampler = :sampler"), {"sampler": sampler})


class Measured:
    """A server that has just been started, and what its requests took."""

    def __init__(self, client: Client, server: psutil.Process) -> None:
        self.client, self._server = client, server
        self.found: dict[str, Any] = {}

    def run(self, name: str, request: Callable[[], object], times: int = 1) -> None:
        """Median and 99th percentile of the wall time of `request`, and the mean of the server's CPU time, in
        milliseconds."""
        self.found[name] = self.in_turn({name: request}, times)[name]

    def in_turn(self, requests: Mapping[str, Callable[[], object]], times: int) -> dict[str, dict[str, float]]:
        """As `run`, of several, each once, then each again: what slows the machine down slows all of them down."""
        waits: dict[str, list[float]] = {name: [] for name in requests}
        cpu_s = dict.fromkeys(requests, 0.0)
        for _ in range(times):
            for name, request in requests.items():
                before, begun = self._cpu_s(), time.perf_counter()
                request()
                waits[name].append(1e3 * (time.perf_counter() - begun))
                cpu_s[name] += self._cpu_s() - before
        return {
            name: {
                "p50_ms": median(found),
                "p99_ms": quantiles(found, n=100)[-1] if times > 1 else found[0],
                "server_cpu_ms": 1e3 * cpu_s[name] / times,
            }
            for name, found in waits.items()
        }

    def _cpu_s(self) -> float:
        times = self._server.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self._server.memory_info().rss) / 1e6


@contextmanager
def measuring(folder: Path, url: str) -> Iterator[Measured]:
    with Processes(folder, env={"STURGEON_DATABASE_URL": url}) as processes, Client(processes.start_server()) as client:
        [(_, server)] = processes.running
        yield Measured(client, psutil.Process(server.pid))


def of_asks(folder: Path, url: str, sizes: list[int], sampler: str) -> dict[int, dict[str, Any]]:
    """Asks and tells of all studies in turn, by one server."""
    draw_by(url, sampler)
    with measuring(folder, url) as on:
        leases = {size: on.client.ask(f"trials-{size}").leases[0] for size in sizes}

        def ask(size: int) -> None:
            [leases[size]] = on.client.ask(f"trials-{size}").leases

        def tell(size: int) -> None:
            lease = leases[size]
            on.client.tell(f"trials-{size}", lease.number, lease.fence, {"loss": lease.params["a"] + 1.0})

        requests = {
            f"{what} {size}": partial(do, size) for size in sizes for what, do in (("tell", tell), ("ask", ask))
        }
        found = on.in_turn(requests, ASKS)
    return {size: {what: found[f"{what} {size}"] for what in ("ask", "tell")} for size in sizes}


def of_trials(folder: Path, url: str, size: int, sampler: str) -> dict[str, Any]:
    """What a server that was just started does with one study."""
    name = f"trials-{size}"
    draw_by(url, sampler)
    with measuring(folder, url) as on:
        client = on.client
        on.run("first ask", lambda: client.ask(name))
        on.run("best, the first", lambda: client.best(name))
        on.run("study, the first", lambda: client.study(name))
        for what, request in {
            "best": lambda: client.best(name),
            "study": lambda: client.study(name),
            "page of trials": lambda: client.trials(name, page_size=100),
            "importance": lambda: client.importance(name),
        }.items():
            on.run(what, request, 10)
        return {"size": size, "sampler": sampler, "requests": on.found, "rss_mb": on.rss_mb()}


def of_sampler(folder: Path, url: str, sizes: list[int], sampler: str) -> list[dict[str, Any]]:
    runs = [of_trials(folder, url, size, sampler) for size in sizes]
    asks = of_asks(folder, url, sizes, sampler)
    return [run | {"requests": run["requests"] | asks[run["size"]]} for run in runs]


def of_studies(folder: Path, url: str, studies: int) -> dict[str, Any]:
    with measuring(folder, url) as on:
        page = on.client.studies(page_size=100)
        on.run("page of studies", lambda: on.client.studies(page_size=100), 10)
        on.run("the next page", lambda: on.client.studies(page_size=100, page_token=page.next_page_token), 10)
        on.run("one study", lambda: on.client.study(f"empty-{studies - 1}"), 10)
        return {"studies": studies, "requests": on.found, "rss_mb": on.rss_mb()}


def measure(kinds: list[str], sizes: list[int], studies: int) -> dict[str, Any]:
    begun = time.monotonic()
    results: dict[str, Any] = {"trials": {}, "studies": {}}
    with tempfile.TemporaryDirectory(prefix="sturgeon-scale-") as folder, database_urls(Path(folder), kinds) as urls:
        for kind, url in urls.items():
            own = Path(folder) / kind
            own.mkdir()
            migrate(url)
            make_studies(own, url, sizes, studies)
            results["trials"][kind] = [run for sampler in SAMPLERS for run in of_sampler(own, url, sizes, sampler)]
            results["studies"][kind] = of_studies(own, url, studies)
    return results | {"took_s": time.monotonic() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="trials of a study")
    parser.add_argument("--studies", type=int, default=STUDIES, help="studies of the database")
    add_write_option(parser, "scale")
    args = parser.parse_args()
    results = measure(args.databases, args.sizes, args.studies)
    if args.write:
        write_results("scale", results)
        write_table(results)
    else:
        print(json.dumps(results, indent=1))
    print(table(results))


if __name__ == "__main__":
    main()
