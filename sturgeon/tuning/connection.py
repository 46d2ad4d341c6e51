"""A server and this process's connection to it; a process that was forked gets a connection of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from sturgeon import embedded, servers
from sturgeon.client import Client
from sturgeon.tuning import left_loops
from sturgeon.tuning.heartbeat import Heartbeat

PATIENCE_S = 120.0
"""How long a call waits for a server that restarts: a search of a night shall outlast it."""

FIRST_PATIENCE_S = 10.0
"""How long the first call waits: an address that is wrong is told soon."""


class Connection:
    """The client and the heartbeat of one process. It can be pickled: another process connects anew.

    server: an address, or None for STURGEON_SERVER; without that an embedded server on `folder` is used.
    Raises: SturgeonError (no server was named and none could be started, the one that was named does not answer, or the
    token cannot be read).
    """

    def __init__(self, server: str | None, token: str | None, folder: str | os.PathLike[str]) -> None:
        address = server or servers.named_server()
        self._folder = None if address else Path(folder).absolute()
        self._server, self._token = address, token if token is not None else servers.token() if address else None
        self._pid = 0
        if address is not None:
            with Client(address, self._token, patience_s=FIRST_PATIENCE_S) as client:
                client.ready()
        self._connect()

    @property
    def client(self) -> Client:
        left_loops.settle()
        self._connect()
        return self._client

    @property
    def heartbeat(self) -> Heartbeat:
        self._connect()
        return self._heartbeat

    def close(self) -> None:
        """Close the connections of this process. An embedded server ends when its last user has."""
        left_loops.settle()
        if self._pid != os.getpid():
            return
        self._heartbeat.close()
        self._client.close()
        self._pid = 0
        if self._folder is not None:
            embedded.leave(self._folder)

    def _connect(self) -> None:
        if self._pid == os.getpid():
            return
        if self._folder is not None:
            running = embedded.server(self._folder)
            self._server, self._token = running.url, running.token
        assert self._server is not None
        sleep = time.sleep if self._folder is None else embedded.sleep_and_revive(self._folder)
        self._client = Client(self._server, self._token, patience_s=PATIENCE_S, sleep=sleep)
        self._heartbeat = Heartbeat(self._client)
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_server": self._server, "_token": self._token, "_pid": 0}
