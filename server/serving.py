"""`sturgeon serve`: checks what must hold before a server listens, then runs uvicorn."""

from __future__ import annotations

import ctypes
import gc
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from server import tls as tls_files
from server.app import create_app
from server.connections import connections
from server.request_context import add_request
from server.services.leases.long_poll import LongPollQueue
from server.settings import LOOPBACK, Settings
from server.store.engine import Database
from server.store.schema import migrate, require_newest
from sturgeon import log_lines
from sturgeon.errors import SturgeonError
from sturgeon.threads import supervised

M_MMAP_THRESHOLD = -3
"""The number of glibc's option in malloc.h: blocks of so many bytes are mapped by themselves."""
M_ARENA_MAX = -8
"""The number of that for the most heaps. By itself glibc makes one for almost each thread, and each keeps what
was freed in it: a server took 520 MB beside bodies of 8 MB, and 430 with two. Threads of Python compute in turns."""
SWITCH_S = 0.001
"""How long a thread computes before another may go on: at 5 ms, Python's own, the event loop waits that long for each
of its little steps, and `/healthz` with it."""
NEW_OBJECTS = 5_000
"""After so many new objects Python looks for garbage among them, in every tenth search among more. By itself it does
after 700, which took 4 to 5 % of the processor time of asks; now it takes 1.5 % at most."""
GRACE_S = 5
"""How long a stopping server waits for open requests."""
END_S = 3
"""How long it waits after that for its threads: one may wait for a database or a disk that does not answer."""


def serve(settings: Settings, listening: Callable[[str], None] | None = None) -> None:
    """Run a server until it is stopped; `listening` is called with its address when it can be asked.

    Raises: SturgeonError (it may not, or cannot, start).
    """
    if settings.shared_token() is None and settings.host not in LOOPBACK:
        raise SturgeonError(
            f"A server on {settings.host} can be reached by others, so it needs a token: set STURGEON_TOKEN or "
            "STURGEON_TOKEN_FILE, or listen on 127.0.0.1."
        )
    tls = tls_files.checked_files(settings.tls_cert, settings.tls_key)
    log_lines.configure(settings.log_level, settings.log_format, add_request)
    _make_folder(settings.checkpoints)
    address = settings.database_address()
    if address.startswith("sqlite"):
        migrate(address)
    else:
        database = Database(address, connections=1)
        try:
            require_newest(database)
        finally:
            database.dispose()
    _give_large_blocks_back()
    sys.setswitchinterval(SWITCH_S)
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=connections(settings.client_patience_s),
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # uvicorn would believe all of this machine; the app knows the trusted ones
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        ssl_certfile=tls and tls[0],
        ssl_keyfile=tls and tls[1],
    )
    config.load()
    if config.ssl is not None:
        config.ssl.minimum_version = tls_files.LOWEST
    _look_for_garbage_among_what_is_new()
    host, port = listener.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    url = f"{'https' if tls else 'http'}://{where}:{port}"
    structlog.get_logger().info("listening", url=url, database=app.state.database.name, docs=f"{url}/docs")
    if listening is not None:
        listening(url)
    _Server(config, app.state.long_polls).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the long polls when it is told to stop; else it would wait for them for all of GRACE_S. Whatever its threads
    wait for then, it ends: what was not committed is undone, and was not acknowledged."""

    def __init__(self, config: uvicorn.Config, long_polls: LongPollQueue) -> None:
        super().__init__(config)
        self._long_polls = long_polls

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._long_polls.end()
        if not self.should_exit:
            supervised("end", _end_late, on_failure=lambda _: os._exit(1))
        super().handle_exit(sig, frame)


def _end_late() -> None:
    """End the process if it has not ended by itself, as it does at once unless something hangs."""
    time.sleep(GRACE_S + END_S)
    structlog.get_logger().warning("ended with work that hung", after_s=GRACE_S + END_S)
    os._exit(0)


def _make_folder(checkpoints: Path) -> None:
    """Raises: SturgeonError (there is no such folder, and none can be made)."""
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if checkpoints.is_file() else error.strerror
        raise SturgeonError(f"{checkpoints} cannot be the folder for checkpoints: {reason}.") from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        hint = "; is another server running there? Choose another with --port" if error.errno == 98 else ""
        raise SturgeonError(f"Cannot listen on {host}:{port}: {error.strerror}{hint}.") from None
    # The connections inherit this. asyncio does not set it for a listener that it is given, and without it each answer
    # takes 40 ms more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _give_large_blocks_back() -> None:
    """Have glibc return large blocks to the system when they are freed. By itself it keeps those of every thread: after
    30 answers of 7 MB at once, a server of 190 MB stayed at 740 MB."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 262_144)
        libc.mallopt(M_ARENA_MAX, 2)


def _look_for_garbage_among_what_is_new() -> None:
    """What there is when a server begins to listen stays. To look through it took 20 to 40 ms, in which no thread went
    on and `/healthz` was not answered, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 10, 10)
