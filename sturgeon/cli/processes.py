"""Starts a server and workers as child processes of a command, watches them, and ends them with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from sturgeon.errors import ServerUnreachable, SturgeonError

STARTS_WITHIN_S: Final = 120.0  # a busy machine needs more than 30
PR_SET_PDEATHSIG: Final = 1
ENDS_WITHIN_S: Final = 10.0  # a server gives its open requests 5 s


@dataclass
class Processes:
    """`sturgeon` commands that run in `cwd` (by default `folder`), with `env` besides our own environment, and write
    their logs to `folder`. Leaving the context ends them all."""

    folder: Path
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, name: str, *arguments: str) -> None:
        # In a process group of its own, so that Ctrl-C reaches only this process, which then ends the others in order.
        with self._log(name).open("wb") as log, _interrupts_wait():
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sturgeon.cli", *arguments],
                cwd=self.cwd or self.folder,
                env=_bare_environment() | dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_end_with, os.getpid()),
            )
            self.running.append((name, process))

    def start_server(self) -> str:
        """Start a server on a free port, wait until it is ready, and return its address.

        Raises: SturgeonError (it ended, or did not start in time).
        """
        from sturgeon.client import Client

        port = _free_port()
        self.start("server", "serve", "--host", "127.0.0.1", "--port", str(port))
        address = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + STARTS_WITHIN_S
        with Client(address, patience_s=0.3, timeout=2.0) as client:
            while True:
                try:
                    client.ready()
                    return address
                except ServerUnreachable:
                    self.check()
                    if time.monotonic() > give_up:
                        raise SturgeonError(f"The server did not start within {STARTS_WITHIN_S:.0f} s.") from None

    def check(self) -> None:
        """Check that all processes are running.

        Raises: SturgeonError (a process has ended; the sentence quotes the last line of its log).
        """
        for name, process in self.running:
            if process.poll() is not None:
                words = self._log(name).read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise SturgeonError(f"The {name} ended (exit code {process.returncode}); its log says: {words[-1]}")

    def end(self) -> None:
        """Ask the workers to end, then the server (the first). Kill those that do not, or all if interrupted."""
        try:
            for some in (self.running[1:], self.running[:1]):
                for _, process in some:
                    process.terminate()
                until = time.monotonic() + ENDS_WITHIN_S
                for _, process in some:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(max(until - time.monotonic(), 0))
        finally:
            for _, process in self.running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # with its children
                    process.wait()
            self.running.clear()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.log"


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until a child that has started is on the list; it would be left behind otherwise."""
    pending: list[int] = []
    # A signal that is ignored, as under `nohup` or in a script's `&`, stays ignored.
    stops = [stop for stop in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(stop) != signal.SIG_IGN]
    before = {stop: signal.signal(stop, lambda number, _frame: pending.append(number)) for stop in stops}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
        if pending:
            raise KeyboardInterrupt


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the command and its child processes, as Ctrl-C does."""

    def interrupt(signum: int, frame: object) -> NoReturn:  # noqa: ARG001 - the shape of a signal handler
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with(parent: int) -> None:
    """On Linux, the child gets SIGTERM even if this process, `parent`, is killed. Elsewhere it goes on running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before it could be followed
            os._exit(128 + signal.SIGTERM)


def _bare_environment() -> dict[str, str]:
    """The environment without STURGEON_* variables, which may name another server or a database that matters."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STURGEON_")}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
