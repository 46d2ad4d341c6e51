"""A server that is asked for too much: `python -m benchmarks.overload`.

First it is sent a body of 8 MB of each kind by itself: how long it takes, and what it costs in processor time and
memory. Then, at once and for a minute: 200 clients that send a byte now and then, 100 that read nothing of what they
ask for, and 8 that send the dearest of these bodies one after the other. Beside them 8 clients mean well: they ask,
report, renew, tell and look. It ends with status 1 if these wait for longer than a second, 99 times in 100, if one of
them is refused, or if the server's memory grows beyond 500 MB.

With --write, the figures go to benchmarks/results/overload.json and to the table in docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import psutil

from benchmarks import overload_clients as clients
from benchmarks.overload_bodies import STUDY, Body, bodies
from benchmarks.results_file import add_write_option, write_between, write_results
from benchmarks.service_systems import System, our_study, systems
from sturgeon.client import Client

MB: Final = 1_000_000
WORST_P99_MS: Final = 1000.0
MOST_MB: Final = 500.0
WORST: Final = 3
"""So many kinds of bodies are sent at once: those that take most processor time, and most memory."""
NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN: Final = "<!-- figures of `make bench-overload` -->"
END: Final = "<!-- figures of bench-overload end -->"


class Memory:
    """The most that a process takes while this is open, in MB."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.before = self.most = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.most = max(self.most, self._now())

    def _now(self) -> float:
        rss: int = self._process.memory_info().rss
        return rss / MB


def prepared(system: System) -> dict[str, Body]:
    """Make the studies that the clients use; the bodies for them."""
    our_study(system, "served", "random", 0)
    our_study(system, "large", "random", 5000)
    our_study(system, STUDY, "random", 0)
    with Client(system.address) as client:
        [lease] = client.ask(STUDY, lease_s=3600).leases
    return bodies(lease.fence)


def alone(system: System, body: Body) -> dict[str, float]:
    """What one body costs a server that has nothing else to do."""
    cpu, began = system.server_cpu_s(), time.monotonic()
    with Memory(system.server) as memory:
        status = clients.sent(system.address, body, "alone")
    return {
        "status": status,
        "seconds": time.monotonic() - began,
        "server's CPU, s": system.server_cpu_s() - cpu,
        "more memory, MB": memory.most - memory.before,
    }


def worst_of(costs: dict[str, dict[str, float]]) -> list[str]:
    """The kinds that are sent at once."""
    by = [sorted(costs, key=lambda kind: -costs[kind][what])[:WORST] for what in ("server's CPU, s", "more memory, MB")]
    return list(dict.fromkeys(kind for pair in zip(*by, strict=True) for kind in pair))


def all_at_once(system: System, chosen: list[Body], seconds: float) -> dict[str, Any]:
    """What the others wait for, and what the server takes."""
    until = time.time() + seconds
    work: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "slow": (clients.misbehave, ()),
        "large": (clients.send_large, (chosen,)),
        "others": (clients.behave, ()),
    }
    told = {name: multiprocessing.SimpleQueue() for name in work}
    processes = [
        multiprocessing.Process(target=run, args=(system.address, *more, until, told[name]), name=name)
        for name, (run, more) in work.items()
    ]
    cpu, began = system.server_cpu_s(), time.monotonic()
    with Memory(system.server) as memory:
        for process in processes:
            process.start()
        answers = {name: queue.get() for name, queue in told.items()}
        for process in processes:
            process.join()
    took, refused = answers["others"]
    took["all"] = [ms for times in took.values() for ms in times]
    return {
        "seconds": time.monotonic() - began,
        "others, ms": {kind: _summary(times) for kind, times in took.items()},
        "others refused": refused,
        "large bodies": answers["large"],
        "misbehaving": answers["slow"],
        "memory before, MB": memory.before,
        "most memory, MB": memory.most,
        "server's cores": (system.server_cpu_s() - cpu) / (time.monotonic() - began),
    }


def _summary(times: list[float]) -> dict[str, float]:
    hundredths = quantiles(times, n=100)
    return {"requests": len(times), "p50": hundredths[49], "p99": hundredths[98], "longest": max(times)}


def measured(kinds: list[str], seconds: float) -> dict[str, Any]:
    """All figures, by kind of database."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    figures: dict[str, Any] = {"load before": os.getloadavg()[0], "databases": {}}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder, systems(Path(folder), [kind]) as found:
            system = found[kind]
            made = prepared(system)
            costs = {name: alone(system, body) for name, body in made.items()}
            chosen = worst_of(costs)
            print(f"{NAMES[kind]}: {', '.join(chosen)}", file=sys.stderr)
            together = all_at_once(system, [made[name] for name in chosen], seconds)
            figures["databases"][kind] = {"alone": costs, "sent": chosen, "together": together}
    return figures | {"cores": os.cpu_count(), "load after": os.getloadavg()[0]}


def missed(figures: dict[str, Any]) -> list[str]:
    """What does not hold."""
    found = []
    for kind, of in figures["databases"].items():
        together = of["together"]
        p99, most = together["others, ms"]["all"]["p99"], together["most memory, MB"]
        if p99 >= WORST_P99_MS:
            found.append(f"{NAMES[kind]}: 99 of 100 requests of the others take up to {p99:.0f} ms")
        if most >= MOST_MB:
            found.append(f"{NAMES[kind]}: the server takes {most:.0f} MB")
        if together["others refused"]:
            found.append(f"{NAMES[kind]}: refused were {together['others refused']}")
    return found


def table(figures: dict[str, Any]) -> str:
    """For the document."""
    lines = [
        f"{figures['cores']} cores; load {figures['load before']:.1f} before, {figures['load after']:.1f} after.",
        "",
        "| database | others: requests, refused | p50, ms | p99, ms | longest, ms | memory before, MB | most, MB | "
        "large bodies |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, of in figures["databases"].items():
        together = of["together"]
        every = together["others, ms"]["all"]
        cells = [NAMES[kind], f"{every['requests']}, {sum(together['others refused'].values())}"]
        cells += [f"{every[name]:.0f}" for name in ("p50", "p99", "longest")]
        cells += [f"{together['memory before, MB']:.0f}", f"{together['most memory, MB']:.0f}"]
        cells.append(", ".join(f"{count} x {status}" for status, count in sorted(together["large bodies"].items())))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| one body of 8 MB, alone | answer | the server's CPU, s | more memory, MB | sent at once |"]
    lines.append("| --- | --- | --- | --- | --- |")
    first = next(iter(figures["databases"].values()))
    for name, cost in sorted(first["alone"].items(), key=lambda item: -item[1]["server's CPU, s"]):
        sent = "yes" if name in first["sent"] else ""
        cpu, more = cost["server's CPU, s"], cost["more memory, MB"]
        lines.append(f"| {name} | {cost['status']:.0f} | {cpu:.2f} | {more:.0f} | {sent} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long all are there at once")
    parser.add_argument("--databases", nargs="+", choices=list(NAMES), default=list(NAMES))
    add_write_option(parser, "overload")
    arguments = parser.parse_args()
    figures = measured(arguments.databases, arguments.seconds)
    print(json.dumps(figures, indent=1), table(figures), sep="\n\n")
    if arguments.write:
        write_results("overload", figures)
        write_between(DOCUMENT, BEGIN, END, table(figures))
    if not_held := missed(figures):
        sys.exit("\n".join(not_held))


if __name__ == "__main__":
    main()
