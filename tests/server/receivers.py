"""Programs that webhooks are told: real HTTP servers on a loopback port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.processes import DEADLINE_S


class Received(NamedTuple):
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Answers with these statuses, one after the other, and then with the last of them. While `gate` is closed it
    keeps whoever has sent something waiting."""

    def __init__(self, *statuses: int, location: str = "") -> None:
        self._statuses, self._location = list(statuses or (204,)), location
        self.gate = threading.Event()
        self.gate.set()
        self.requests: SimpleQueue[Received] = SimpleQueue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)

    def next(self) -> Received:
        return self.requests.get(timeout=DEADLINE_S)

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.put(Received(self.path, dict(self.headers), body))
                receiver.gate.wait(DEADLINE_S)
                status = receiver._statuses.pop(0) if len(receiver._statuses) > 1 else receiver._statuses[0]
                try:
                    self.send_response(status)
                    if receiver._location:
                        self.send_header("Location", receiver._location)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    return  # who asked did not wait

            def log_message(self, *_: Any) -> None:
                return

        return Handler
