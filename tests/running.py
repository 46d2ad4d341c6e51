"""A real server in a thread of the tests, whose time only the test moves."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from server.app import create_app
from server.connections import Connection, connections
from server.services.leases import expiry
from sturgeon.client import Client
from tests.errors import Answers5xx, log_to_watch
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute

    from server.settings import Settings
    from server.store.engine import Transaction

NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z in microseconds


class FakeClock:
    """Stands at noon until a test moves it."""

    def __init__(self) -> None:
        self.microseconds = NOON

    def __call__(self, _tx: Transaction) -> int:
        return self.microseconds

    def advance(self, seconds: float) -> None:
        self.microseconds += round(seconds * 1_000_000)


class RunningServer:
    """uvicorn with `create_app(settings, clock)` on a loopback port, and a client for it."""

    def __init__(self, settings: Settings, clock: FakeClock | None = None) -> None:
        log_to_watch()
        self.settings = settings
        self.clock = clock or FakeClock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as server.serving does, and why is there
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.client = Client(self.url, token=settings.shared_token())
        self._up = threading.Event()
        self.app = create_app(settings, clock=self.clock)
        _build_routes(self.app)
        self.connection_class = connections(settings.client_patience_s)
        self._uvicorn = _Uvicorn(self.app, self._up, self.connection_class)
        self._thread = threading.Thread(target=self._serve, name="uvicorn")

    def start(self) -> None:
        self._thread.start()
        self._up.wait(timeout=DEADLINE_S)
        assert self._uvicorn.started, "the server did not start; its log says why"

    def advance(self, *, seconds: float) -> None:
        """Let time pass for the server: leases run out, nobody waits."""
        self.clock.advance(seconds)

    def connections(self) -> list[object]:
        """The connections that are open."""
        return list(self._uvicorn.server_state.connections)

    def expire_leases(self) -> None:
        """What a server does every few seconds: now, and in this thread."""
        state = self.app.state
        expiry.expire_leases(state.transactions, self.settings.max_attempts)

    def stop(self) -> None:
        self.client.close()
        self._uvicorn.should_exit = True
        self._thread.join(timeout=DEADLINE_S)
        assert not self._thread.is_alive(), "the server did not stop"

    def _serve(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._up.set()


_ROUTERS: dict[int, BaseRoute] = {}
"""By the router that an app includes, what FastAPI has made of it for the first app."""


def _build_routes(app: FastAPI) -> None:
    """FastAPI looks into the functions of all routes at an app's first request. That takes a seventh of a second, and
    two servers of one process must not do it at the same time. What it finds does not depend on the app."""
    nowhere = {"type": "http", "method": "GET", "path": "/nowhere", "root_path": "", "headers": []}
    for place, route in enumerate(app.router.routes):
        if hasattr(route, "original_router"):  # in versions of FastAPI without it, the routes are the app's own
            app.router.routes[place] = _ROUTERS.setdefault(id(route.original_router), route)
        app.router.routes[place].matches(nowhere)


class _Uvicorn(uvicorn.Server):
    def __init__(self, app: FastAPI, up: threading.Event, connection_class: type[Connection]) -> None:
        super().__init__(
            uvicorn.Config(
                Answers5xx(app),
                http=connection_class,
                ws="none",
                log_config=None,
                timeout_graceful_shutdown=20,
                proxy_headers=False,
            )
        )
        self._long_polls, self._up = app.state.long_polls, up

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._long_polls.end()  # as server.serving does: else it waits for the long polls
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()
