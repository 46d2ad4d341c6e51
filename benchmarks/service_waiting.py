"""What waits in a server, and what waits for it: `python -m benchmarks.service_waiting`.

Prints, and writes to benchmarks/results/service_waiting.json if it is told to --write: how long `/healthz` takes on a
server that nobody uses, and beside 60 clients that ask as fast as they can; and by how much the server's memory grows
with 2,000 workers that wait for work, each of which asks again when its poll ends.

The clients speak HTTP themselves, so that they cost little beside the server. Other programs on the machine make
`/healthz` slower, so the cores that they took are told, too.
"""

from __future__ import annotations

import argparse
import heapq
import json
import multiprocessing
import resource
import selectors
import socket
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from benchmarks.results_file import add_write_option, write_results
from benchmarks.service_systems import System, our_study
from sturgeon.cli.processes import Processes

ASKERS: Final = 60
POLLS: Final = 2_000
POLL_S: Final = 30
"""How long a poll waits. A server ends polls after 8 seconds unless it is told otherwise: 250 a second of 2,000."""
BEGIN_WITHIN_S: Final = 28.0
"""The workers begin one after the other: of 2,000 that come at once, most are told to come again in a moment."""
PROBE_EVERY_S: Final = 0.05
MB: Final = 1_000_000


class Connection:
    """A connection that is kept, and sends one request after the other."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self.socket = socket.create_connection((url.hostname or "", url.port or 80))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Send a request, and do not wait."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Requested-With: benchmark {id(self)}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + content)

    def answer(self) -> int:
        """Read an answer; its status."""
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._more()
        head, _, body = read.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self._more()
        return int(head[9:12])

    def _more(self) -> bytes:
        if part := self.socket.recv(65_536):
            return part
        raise ConnectionError("the server closed the connection")


def ask_on(address: str, study: str, seconds: float, told: Any) -> None:
    """Ask from all clients for so long; tells how many asks were answered 200, and how many otherwise."""
    answered, refused = [0], [0]

    def run() -> None:
        connection = Connection(address)
        while time.monotonic() < until:
            connection.send("POST", f"/v1/studies/{study}/trials:ask", {})
            (answered if connection.answer() == 200 else refused)[0] += 1

    until = time.monotonic() + seconds
    threads = [threading.Thread(target=run) for _ in range(ASKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put((answered[0], refused[0]))


def health(address: str, seconds: float) -> dict[str, float]:
    """Milliseconds that /healthz takes, asked again and again."""
    connection, took = Connection(address), []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.send("GET", "/healthz")
        assert connection.answer() == 200
        took.append(1000 * (time.perf_counter() - began))
        time.sleep(PROBE_EVERY_S)
    hundredths = quantiles(took, n=100)
    return {"probes": len(took), "p50": hundredths[49], "p99": hundredths[98], "longest": max(took)}


def health_beside_askers(system: System, seconds: float) -> dict[str, Any]:
    """The same beside clients that ask, in a process of their own."""
    study = our_study(system, "asked", "random", 0)["study"]
    told: Any = multiprocessing.Queue()
    askers = multiprocessing.Process(target=ask_on, args=(system.address, study, seconds + 2, told))
    begun_cpu, begun = system.server_cpu_s(), time.monotonic()
    askers.start()
    time.sleep(1)
    found: dict[str, Any] = health(system.address, seconds)
    answered, refused = told.get()
    askers.join()
    spent = system.server_cpu_s() - begun_cpu
    took = time.monotonic() - begun
    return found | {
        "asks a second": answered / took,
        "asks refused": refused,
        "server's CPU, ms an ask": 1000 * spent / max(answered, 1),
    }


def memory_of_polls(system: System, seconds: float) -> dict[str, float]:
    """MB of the server before and with the polls open, how many were open at once, and how many had to come again."""
    before = most = system.server.memory_info().rss / MB
    selector, polls = selectors.DefaultSelector(), [Connection(system.address) for _ in range(POLLS)]
    begun = time.monotonic()
    due = [(begun + BEGIN_WITHIN_S * number / POLLS, number) for number in range(POLLS)]  # a heap
    waiting, longest, refused = 0, 0, 0
    for number, poll in enumerate(polls):
        selector.register(poll.socket, selectors.EVENT_READ, number)
    while time.monotonic() < begun + BEGIN_WITHIN_S + seconds:
        while due and due[0][0] < time.monotonic():
            _, number = heapq.heappop(due)
            polls[number].send("POST", "/v1/leases", {"worker": f"worker-{number}", "wait": POLL_S})
            waiting += 1
        longest = max(longest, waiting)
        for key, _ in selector.select(timeout=0.05):
            is_refused = polls[key.data].answer() != 200
            refused += is_refused
            heapq.heappush(due, (time.monotonic() + is_refused, key.data))
            waiting -= 1
        most = max(most, system.server.memory_info().rss / MB)
    for poll in polls:
        poll.socket.close()
    return {"polls": longest, "refused": refused, "before": before, "most": most, "more": most - before}


def measured(seconds: float) -> dict[str, Any]:
    """All figures; each part lasts so many seconds."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"STURGEON_DATABASE_URL": f"sqlite:///{folder}/sturgeon.db", "STURGEON_LONGEST_WAIT_S": str(POLL_S)}
        with Processes(Path(folder), env=settings) as processes:
            address = processes.start_server()
            [(_, server)] = processes.running
            system = System(address, "", "", "", psutil.Process(server.pid), None)
            psutil.cpu_percent()
            figures = {
                "health alone, ms": health(system.address, seconds),
                "memory of polls, MB": memory_of_polls(system, seconds),
                "health beside askers, ms": health_beside_askers(system, seconds),
            }
            return figures | {"askers": ASKERS, "cores in use": psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="how long each part lasts")
    add_write_option(parser, "service_waiting")
    arguments = parser.parse_args()
    figures = measured(arguments.seconds)
    print(json.dumps(figures, indent=1))
    if arguments.write:
        write_results("service_waiting", figures)


if __name__ == "__main__":
    main()
