"""Very many trials in one study, and very many studies in one database, through a server of ours.

Run it with `make bench-scale`. The databases are filled by their own statements; what is measured goes through HTTP.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import psutil
import sqlalchemy as sa

from benchmarks.results_file import add_write_option, write_results
from benchmarks.scale_rows import SPACE, copies, fill
from benchmarks.scale_table import table, write_table
from server.store.engine import Database
from server.store.schema import migrate
from sturgeon.cli.processes import Processes
from sturgeon.client import Client
from tests.postgres import Postgres

SIZES: Final = (1_000, 100_000, 999_000)
"""A study has 1,000,000 trials at most, and some are asked for here."""
STUDIES: Final = 10_000
ASKS: Final = 100
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

    def run(
        self, name: str, request: Callable[[], object], times: int = 1, then: Callable[[], object] = lambda: None
    ) -> None:
        """Median and 99th percentile of the wall time of `request`, and the mean of the server's CPU time, in
        milliseconds. then: follows each of them, and its wall time does not count."""
        waits, before = [], self._cpu_s()
        for _ in range(times):
            begun = time.perf_counter()
            request()
            waits.append(1e3 * (time.perf_counter() - begun))
            then()
        p99 = quantiles(waits, n=100)[-1] if times > 1 else waits[0]
        cpu = 1e3 * (self._cpu_s() - before) / times
        self.found[name] = {"p50_ms": median(waits), "p99_ms": p99, "server_cpu_ms": cpu}

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


def of_trials(folder: Path, url: str, size: int, sampler: str) -> dict[str, Any]:
    name = f"trials-{size}"
    draw_by(url, sampler)
    with measuring(folder, url) as on:
        client = on.client
        on.run("first ask", lambda: client.ask(name))
        lease = [client.ask(name).leases[0]]

        def ask() -> None:
            [lease[0]] = client.ask(name).leases

        def tell() -> None:
            client.tell(name, lease[0].number, lease[0].fence, {"loss": lease[0].params["a"] + 1.0})

        tell()
        on.run("ask", ask, then=tell, times=ASKS)
        on.run("ask and tell", lambda: (ask(), tell()), times=ASKS)
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
            results["trials"][kind] = [of_trials(own, url, size, sampler) for sampler in SAMPLERS for size in sizes]
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
