"""What waits in a server, and what waits for it: `python -m benchmarks.service_waiting`.

Prints, and writes to benchmarks/results/service_waiting.json if it is told to --write: how long `/healthz` takes on a
server that nobody uses, and beside 60 clients that ask as fast as they can; what 500 workers cost the server that hold
a trial each and renew its lease as often as a worker does, alone, and with a poll for more work; and by how much the
server's memory grows with 2,000 workers that wait for work, each of which asks again when its poll ends.

The clients speak HTTP themselves, so that they cost little beside the server. Other programs on the machine make
`/healthz` slower, so the cores that they took are told, too.
"""

from __future__ import annotations

import argparse
import heapq
import json
import multiprocessing
import random
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
"""The workers begin one after the other."""
RENEWED_FOR: Final = 3
"""So many parts: in a minute each worker renews six times."""
HOLDERS: Final = 500
LEASE_S: Final = 30.0
"""As workers have it from a server that is told nothing else. They renew after a third of it, give or take a fifth."""
RENEWERS: Final = 8
"""Threads of the benchmark."""
IDLE_POLL_S: Final = 8
"""How long a poll waits for work at a server that is told nothing else."""
PROBE_EVERY_S: Final = 0.05
MB: Final = 1_000_000

Held = dict[str, Any]


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
        return self._read()[0]

    def content(self) -> dict[str, Any]:
        """Read an answer of status 200; what it says."""
        status, body = self._read()
        assert status == 200, body
        content: dict[str, Any] = json.loads(body)
        return content

    def _read(self) -> tuple[int, bytes]:
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._more()
        head, _, body = read.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self._more()
        return int(head[9:12]), body

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


class Polls:
    """Workers that wait for work; each asks again when its poll ends. They begin one after the other within so many
    seconds: of very many that come at once, most are told to come again in a moment."""

    def __init__(self, address: str, count: int, wait_s: float, within_s: float) -> None:
        self.ended = self.refused = self.waiting = 0
        self._wait_s = wait_s
        self._selector = selectors.DefaultSelector()
        self._polls = [Connection(address) for _ in range(count)]
        begun = time.monotonic()
        self._due = [(begun + within_s * number / count, number) for number in range(count)]  # a heap
        for number, poll in enumerate(self._polls):
            self._selector.register(poll.socket, selectors.EVENT_READ, number)

    def step(self, seconds: float) -> None:
        """Send the polls that are due, and wait for answers for so long."""
        while self._due and self._due[0][0] < time.monotonic():
            _, number = heapq.heappop(self._due)
            self._polls[number].send("POST", "/v1/leases", {"worker": f"worker-{number}", "wait": self._wait_s})
            self.waiting += 1
        for key, _ in self._selector.select(timeout=seconds):
            is_refused = self._polls[key.data].answer() != 200
            self.ended += 1
            self.refused += is_refused
            self.waiting -= 1
            heapq.heappush(self._due, (time.monotonic() + is_refused, key.data))

    def close(self) -> None:
        """End all polls."""
        for poll in self._polls:
            poll.socket.close()


def memory_of_polls(system: System, seconds: float) -> dict[str, float]:
    """MB of the server before and with the polls open, how many were open at once, and how many had to come again."""
    before = most = system.server.memory_info().rss / MB
    polls, longest = Polls(system.address, POLLS, POLL_S, BEGIN_WITHIN_S), 0
    until = time.monotonic() + BEGIN_WITHIN_S + seconds
    while time.monotonic() < until:
        polls.step(0.05)
        longest = max(longest, polls.waiting)
        most = max(most, system.server.memory_info().rss / MB)
    polls.close()
    return {"polls": longest, "refused": polls.refused, "before": before, "most": most, "more": most - before}


def renewals(system: System, seconds: float, *, poll: bool) -> dict[str, float]:
    """What the server takes of a core while so many workers hold a trial each and renew its lease, and nobody does
    anything else; and how long a renewal takes, in milliseconds. poll: each asks for more work, too."""
    study = our_study(system, "held-and-polls" if poll else "held", "random", 0)["study"]
    connection = Connection(system.address)
    held = [_held(connection, study, number) for number in range(HOLDERS)]
    polls = Polls(system.address, HOLDERS if poll else 0, IDLE_POLL_S, IDLE_POLL_S)
    took: list[float] = []
    begun, begun_cpu = time.monotonic(), system.server_cpu_s()
    threads = [
        threading.Thread(target=renew, args=(system.address, held[first::RENEWERS], begun + seconds, took))
        for first in range(RENEWERS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        polls.step(0.05)
    lasted, spent = time.monotonic() - begun, system.server_cpu_s() - begun_cpu
    polls.close()
    return {
        "workers": HOLDERS,
        "seconds": lasted,
        "renewals": len(took),
        "polls that ended": polls.ended,
        "polls refused": polls.refused,
        "server's cores": spent / lasted,
        "p50": quantiles(took, n=100)[49],
        "longest": max(took),
    }


def renew(address: str, held: list[Held], until: float, took: list[float]) -> None:
    """Renew the leases of some workers, each when it is due."""
    chance, now = random.Random(held[0]["number"]), time.monotonic()
    due = [(now + chance.uniform(0, LEASE_S / 3), number) for number in range(len(held))]
    heapq.heapify(due)
    while due[0][0] < until:
        moment, number = heapq.heappop(due)
        time.sleep(max(0.0, moment - time.monotonic()))
        sent = time.monotonic()
        connection = Connection(address)  # the server has closed that of the renewal before
        connection.send("POST", "/v1/leases:renew", {"worker": _name(held[number]), "held": [held[number]]})
        assert len(connection.content()["held"]) == 1, "a lease was lost"
        connection.socket.close()
        took.append(1000 * (time.monotonic() - sent))
        heapq.heappush(due, (moment + LEASE_S / 3 * chance.uniform(0.8, 1.2), number))


def _name(held: Held) -> str:
    return f"worker-{held['number']}"


def _held(connection: Connection, study: str, number: int) -> Held:
    """The next trial, which the worker of its number takes, as a renewal names it."""
    connection.send("POST", f"/v1/studies/{study}/trials:ask", {"worker": f"worker-{number}", "lease_s": LEASE_S})
    [lease] = connection.content()["leases"]
    return {"study": study, "number": lease["number"], "fence": lease["fence"]}


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
                "workers that renew": renewals(system, RENEWED_FOR * seconds, poll=False),
                "workers that renew and wait for work": renewals(system, RENEWED_FOR * seconds, poll=True),
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
