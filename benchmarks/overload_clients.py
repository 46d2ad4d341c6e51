"""The clients of benchmarks/overload.py, in processes of their own: those who misbehave, and the others."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.overload_bodies import Body
from benchmarks.service_waiting import Connection

SLOW: Final = 200
READERS: Final = 100
SENDERS: Final = 8
OTHERS: Final = 8
PAUSE_S: Final = 0.05
"""Between two requests of one of the others: 8 of them make at most 160 a second."""
TRICKLE_S: Final = 0.5
LARGE: Final = ("/v1/studies/large/trials?format=csv", "/openapi.json", "/v1/studies/large/trials?page_size=1000")
"""What the readers ask for and do not read: ten times each, on one connection."""


def misbehave(address: str, until: float, told: Any) -> None:
    """Slow clients and readers that do not read, until then; tells how many connections the server has dropped."""
    dropped: Counter[str] = Counter()
    slow = {_slow(address, number): number for number in range(SLOW)}
    readers = {_reader(address, number): number for number in range(READERS)}
    while time.time() < until:
        for crowd, again, kind in ((slow, _slow, "slow clients"), (readers, _reader, "readers")):
            gone = _gone(crowd) if kind == "readers" else _trickle(crowd)
            for one in gone:
                number = crowd.pop(one)
                one.close()
                dropped[kind] += 1
                crowd[again(address, number)] = number
        time.sleep(TRICKLE_S)
    told.put({"slow clients": len(slow), "readers": len(readers), "dropped": dict(dropped)})


def _connected(address: str) -> socket.socket:
    url = urlsplit(address)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(60)
    one.connect((url.hostname or "", url.port or 80))
    return one


def _slow(address: str, number: int) -> socket.socket:
    """Half of them never end their head, half their body."""
    one = _connected(address)
    head = b"POST /v1/space:preview HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    one.sendall(head + (b"X-Long: " if number % 2 else b'Content-Length: 8000000\r\n\r\n{"space": {'))
    one.setblocking(False)
    return one


def _reader(address: str, number: int) -> socket.socket:
    one = _connected(address)
    one.sendall(f"GET {LARGE[number % len(LARGE)]} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 10)
    return one


def _trickle(crowd: dict[socket.socket, int]) -> list[socket.socket]:
    """Send a byte each; those whose connection is gone."""
    gone = _gone(crowd)
    for one in set(crowd) - set(gone):
        try:
            one.send(b"x")
        except OSError:
            gone.append(one)
    return gone


def _gone(crowd: dict[socket.socket, int]) -> list[socket.socket]:
    """Those that the server has closed, also where something is left to read."""
    poll = select.poll()
    numbers = {one.fileno(): one for one in crowd}
    for number in numbers:
        poll.register(number, select.POLLHUP | select.POLLERR | select.POLLRDHUP)
    return [numbers[number] for number, _ in poll.poll(0)]


def send_large(address: str, bodies: list[Body], until: float, told: Any) -> None:
    """Send large bodies one after the other, from some connections, until then; tells how often what was answered."""
    statuses: Counter[str] = Counter()

    def run(number: int) -> None:
        at = number
        while time.time() < until:
            try:
                statuses[str(sent(address, bodies[at % len(bodies)], f"sender {number}"))] += 1
            except OSError:
                statuses["dropped"] += 1
            at += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(dict(statuses))


def sent(address: str, body: Body, who: str) -> int:
    """Send one body; the status of its answer. Raises: OSError (the server hung up)."""
    connection = Connection(address)
    with connection.socket:
        head = (
            f"{body.method} {body.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Requested-With: {who}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body.content)}\r\n\r\n"
        )
        connection.socket.sendall(head.encode())
        connection.socket.sendall(body.content)
        answer = connection.socket.makefile("rb").readline()
        if not answer:
            raise ConnectionError("the server closed the connection")
        return int(answer.split()[1])


def behave(address: str, until: float, told: Any) -> None:
    """What clients do that mean well, until then; tells the milliseconds of each request by its kind, and how many were
    refused."""
    took: dict[str, list[float]] = {}
    refused: Counter[str] = Counter()

    def run(number: int) -> None:
        chance, client = random.Random(number), _Client(address, took, refused)
        while time.time() < until:
            client.ask_report_and_tell(chance.random())
            client.one("look", "GET", "/v1/studies/served")
            client.one("healthz", "GET", "/healthz")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(OTHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put((took, dict(refused)))


class _Client:
    def __init__(self, address: str, took: dict[str, list[float]], refused: Counter[str]) -> None:
        self._address, self._took, self._refused = address, took, refused
        self._connection = Connection(address)

    def ask_report_and_tell(self, loss: float) -> None:
        trials = "/v1/studies/served/trials"
        answer = self.one("ask", "POST", f"{trials}:ask", {"worker": "well-behaved", "lease_s": 600})
        if answer is None:
            return
        [lease] = answer["leases"]
        own = {"fence": lease["fence"]}
        held = [own | {"study": "served", "number": lease["number"]}]
        report = own | {"reports": [{"step": 1, "metrics": {"loss": loss}}]}
        self.one("report", "POST", f"{trials}/{lease['number']}:report", report)
        self.one("renew", "POST", "/v1/leases:renew", {"worker": "well-behaved", "held": held})
        self.one("tell", "POST", f"{trials}/{lease['number']}:tell", own | {"metrics": {"loss": loss}})

    def one(self, kind: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What is answered; None where it was refused."""
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        try:
            self._connection.send(method, path, body)
            return self._connection.content()
        except (AssertionError, ConnectionError):  # the first: another status than 200
            self._refused[kind] += 1
            self._connection.socket.close()
            self._connection = Connection(self._address)
            return None
        finally:
            self._took.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
