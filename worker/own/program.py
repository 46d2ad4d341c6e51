"""A user's program that runs, as the child of a trial sees it: its output, its end, and how it is ended."""

from __future__ import annotations

import fcntl
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal

from worker.own import guard

CHUNK: Final = 1 << 16
AT_ONCE_S: Final = 0.05
"""So long output is read in one go, before other things get their turn."""
LAST_OUTPUT_S: Final = 2.0
"""So long the rest of the output is waited for when the program has ended."""
F_SETPIPE_SZ: Final = 1031
PIPE_SIZE: Final = 1 << 20

END_WITHIN_S: Final = guard.END_WITHIN_S + 5
"""So long a guard may take to end a program, before it is taken for dead itself."""

Stream = Literal["stdout", "stderr"]


class Program:
    """Started at once. To be used in one thread, and closed at last: then nothing of it runs any more.

    `exit`: None while it runs, then its exit code (negative: the signal). `cannot`: why it could not be started.
    Raises: OSError (nor could the guard).
    """

    def __init__(
        self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str], folder: Path, nice: int = 0
    ) -> None:
        self.exit: int | None = None
        self.cannot: str | None = None
        self._mark = f"STURGEON_TRIAL={folder}"
        self._said = b""
        self._killed_at = math.inf
        guard.become_subreaper()  # where the guard is killed, what it guarded comes here
        self._others = guard.descendants(os.getpid())
        self._control, theirs = socket.socketpair()
        try:
            with theirs:
                self._guard = _guard_of(argv, theirs, cwd, environment, folder, nice)
        except OSError:
            self._control.close()
            raise
        self._selector = selectors.DefaultSelector()
        for stream, file in self._files().items():
            os.set_blocking(file.fileno(), False)
            with suppress(OSError):
                fcntl.fcntl(file.fileno(), F_SETPIPE_SZ, PIPE_SIZE)
            self._selector.register(file, selectors.EVENT_READ, stream)
        self._selector.register(self._control, selectors.EVENT_READ, "control")

    def _files(self) -> dict[Stream, IO[bytes]]:
        assert self._guard.stdout is not None
        assert self._guard.stderr is not None
        return {"stdout": self._guard.stdout, "stderr": self._guard.stderr}

    def read(self, wait_s: float) -> Iterator[tuple[Stream, bytes]]:
        """What it has written, as it comes; ends after a while, so that the caller can look at other things.

        When the program ends, `exit` is set, and the rest of its output comes from `rest`.
        """
        until = time.monotonic() + AT_ONCE_S
        if time.monotonic() - self._killed_at > END_WITHIN_S:
            self._lose_guard()
        while self.exit is None:
            ready = self._selector.select(wait_s)
            for key, _ in ready:
                if key.data == "control":
                    self._hear()
                else:
                    yield from self._chunk(key)
            if not ready or time.monotonic() >= until:
                return
            wait_s = 0.0

    def rest(self) -> Iterator[tuple[Stream, bytes]]:
        """What it had written when it ended."""
        until = time.monotonic() + LAST_OUTPUT_S
        with suppress(KeyError):
            self._selector.unregister(self._control)
        while self._selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                yield from self._chunk(key)

    def _chunk(self, key: selectors.SelectorKey) -> Iterator[tuple[Stream, bytes]]:
        try:
            data = os.read(key.fd, CHUNK)
        except BlockingIOError:
            return
        if data:
            yield key.data, data
        else:
            self._selector.unregister(key.fileobj)

    def _hear(self) -> None:
        data = self._control.recv(4096)
        self._said += data
        if data and not self._said.endswith(b"\n"):
            return None
        self._control.setblocking(True)
        if not data:  # somebody has killed the guard
            return self._lose_guard()
        end = json.loads(self._said)
        self.cannot = end.get("cannot")
        self.exit = end.get("exit", 127)
        return None

    def _lose_guard(self) -> None:
        """Go on without the guard, which is gone or does not answer. The kernel kills the program with it, but not what
        came of the program."""
        self._guard.kill()
        self._end_orphans()
        self.exit = -signal.SIGKILL

    def terminate(self) -> None:
        """Ask it to end."""
        self._order(b"T")

    def kill(self) -> None:
        """End it with all its descendants; `exit` follows."""
        self._killed_at = min(self._killed_at, time.monotonic())
        self._order(b"K")

    def _order(self, order: bytes) -> None:
        with suppress(OSError):
            self._control.sendall(order)

    def memory(self, most: float) -> int:
        """Bytes that it and its descendants have in memory; exact only above `most`."""
        rough = guard.memory_of(self._guard.pid)
        return rough if rough <= most else guard.shared_out_memory_of(self._guard.pid) or rough

    def close(self) -> None:
        """End what runs still."""
        if self.exit is None:
            self.kill()
            for _ in self._until_ended():
                pass
        self._selector.close()
        self._control.close()
        for file in self._files().values():
            file.close()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(guard.END_WITHIN_S)

    def _until_ended(self) -> Iterator[tuple[Stream, bytes]]:
        while self.exit is None:
            yield from self.read(0.1)

    def _orphans(self) -> dict[int, int]:
        """What came of the program and lives: below this process, or with the run in its environment."""
        below = guard.descendants(os.getpid()).items() - self._others.items()
        return dict(below) | guard.marked(self._mark)

    def _end_orphans(self) -> None:
        until = time.monotonic() + guard.END_WITHIN_S
        while (found := self._orphans()) and time.monotonic() < until:
            guard.kill_all(found)
            time.sleep(0.01)


def _guard_of(
    argv: Sequence[str], control: socket.socket, cwd: Path, environment: Mapping[str, str], folder: Path, nice: int
) -> subprocess.Popen[bytes]:
    own = [sys.executable, "-I", "-S", guard.__file__, str(control.fileno()), str(folder), str(nice)]
    return subprocess.Popen(
        [*own, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=dict(environment),
        pass_fds=[control.fileno()],
        start_new_session=True,
    )
