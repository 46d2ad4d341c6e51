"""Renews the leases of this process's trials in a thread, and tells each trial what is wanted of it."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import threading
from contextlib import ExitStack
from typing import Final, Protocol

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import SturgeonError

LEASE_S: Final = 60
RENEWED_EVERY_S: Final = LEASE_S / 4
log = logging.getLogger("sturgeon")


class Renewable(Protocol):
    """A trial whose lease is renewed."""

    @property
    def held(self) -> m.Held: ...

    def leave(self, error: BaseException | None) -> None: ...

    def told(self, desired: m.Desired) -> None: ...

    def lost(self, reason: str) -> None: ...


class Heartbeat:
    """Renews while there is something to renew. `worker` is this process's name on the server.

    every_s: seconds between two renewals; the lease of `LEASE_S` outlasts three of them.
    """

    def __init__(self, client: Client, every_s: float = RENEWED_EVERY_S) -> None:
        host = re.sub(r"[^A-Za-z0-9._\-]", "-", socket.gethostname()).lstrip("._-") or "host"
        self.worker = f"{host[:100]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.drained = False
        self._client, self._every_s = client.with_patience(RENEWED_EVERY_S), every_s
        self._trials: list[Renewable] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, trial: Renewable) -> None:
        with self._lock:
            self._trials.append(trial)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sturgeon heartbeat", daemon=True)
                self._thread.start()

    def remove(self, trial: Renewable) -> None:
        with self._lock:
            if trial in self._trials:
                self._trials.remove(trial)

    def release_all(self) -> None:
        """Give all trials back that this process holds."""
        with ExitStack() as each:  # also those after one that raises
            for trial in reversed(self._trials):
                each.callback(trial.leave, KeyboardInterrupt())  # whatever its code was doing

    def close(self) -> None:
        self._closed.set()

    def beat(self) -> None:
        """Renew once. Raises: SturgeonError (the server cannot be reached, or refuses)."""
        with self._lock:
            trials = {(trial.held.study, trial.held.number): trial for trial in self._trials}
        if not trials:
            return
        answer = self._client.renew(self.worker, [trial.held for trial in trials.values()])
        self.drained = self.drained or answer.drain
        for renewed in answer.held:
            trials[renewed.study, renewed.number].told(renewed.desired)
        for gone in answer.lost:
            self.remove(trials[gone.study, gone.number])
            trials[gone.study, gone.number].lost(gone.reason)

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            try:
                self.beat()
            except SturgeonError as error:  # the lease may outlast it; whether it did, the next answer says
                if not self._closed.is_set():
                    log.warning("The leases of this process's trials could not be renewed: %s", error)
            except Exception:  # a thread that ended would lose all leases, and nobody would know why
                log.exception("The heartbeat failed; it goes on.")
