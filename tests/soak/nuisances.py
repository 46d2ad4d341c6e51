"""Clients that a server has to bear: slow ones, readers that do not read, and large bodies."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx

from tests.soak.history import HistoryWriter

SLOW, DEAF = 30, 15
LARGE = (10, 300, 3000)
"""Parameters of a study, each with as many conditions as make 2.5 kB, and none of them valid."""


class Nuisance:
    """Threads and connections of one fault, until `end`."""

    def __init__(self, url: str) -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
        self._url, self._over = url, threading.Event()
        self._open = ExitStack()
        self._threads: list[threading.Thread] = []

    def end(self) -> None:
        self._over.set()
        self._open.close()
        for thread in self._threads:
            thread.join(timeout=60)

    def be_slow(self) -> None:
        """Send headers that never end, a byte a time."""
        connections = [self._connect(b"POST /v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ") for _ in range(SLOW)]

        def drip() -> None:
            while not self._over.wait(0.5):
                for one in connections:
                    with suppress(OSError):
                        one.send(b"x")

        self._begin(drip)

    def be_deaf(self) -> None:
        """Open streams, and do not read them."""
        ask = b"GET /v1/studies/digits/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        for _ in range(DEAF):
            self._connect(ask, receives=4096)

    def be_large(self, history: HistoryWriter) -> None:
        """Send one body after another that is not valid in very many places."""
        one = {"type": "float", "low": 0, "high": 1, "when": {"x": [{}] * 600}}
        studies = [{"name": "large", "metric": "m", "space": {f"p{i}": one for i in range(count)}} for count in LARGE]
        bodies = itertools.cycle([json.dumps(study).encode() for study in studies])

        def send() -> None:
            with httpx.Client(base_url=self._url, timeout=30, trust_env=False, verify=False) as http:
                while not self._over.is_set():
                    sent = history.sent("large", "large", "large")
                    with suppress(httpx.TransportError):
                        headers = {"Content-Type": "application/json", "X-Requested-With": "soak"}
                        answer = http.post("/v1/studies", content=next(bodies), headers=headers)
                        history.answered(sent, answer.status_code, None, retry_after="Retry-After" in answer.headers)
                    self._over.wait(0.5)

        self._begin(send)

    def _connect(self, first: bytes, receives: int | None = None) -> socket.socket:
        one = self._open.enter_context(socket.socket())
        if receives is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        with suppress(OSError):
            one.connect(self._address)
            one.sendall(first)
        return one

    def _begin(self, work: object) -> None:
        thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)
