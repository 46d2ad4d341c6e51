"""Processes of `sturgeon` that are forked from a process which has imported it: see tests/zygote.py."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from sturgeon.one_thread import VARIABLES
from tests.zygote import MODULES, NEEDED

STURGEON: Final = Path(sys.executable).with_name("sturgeon")
ROOT: Final = Path(__file__).parents[1]
OF_A_PROGRAM: Final = ("PACE_S", "BREAKPOINT", "FAILPOINT", "AHEAD")
OF_THE_TEST: Final = ("STURGEON_", "PYTEST_CURRENT_TEST", "COLUMNS", "LINES", *OF_A_PROGRAM)
"""The variables that are read when they are needed, and not before."""


class Forked:
    """What `subprocess.Popen` is for a process that was started as usual."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status
        self._code: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        """Raises: subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self._ended(max(0.0, min(1.0, deadline - time.monotonic())))) is None:
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def send_signal(self, how: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def _ended(self, within_s: float) -> int | None:
        with self._asking:
            if self._code is None and select.select([self._status], [], [], within_s)[0]:
                self._code = int(os.read(self._status, 100))
                os.close(self._status)
            return self._code


class Zygote:
    """The process that has `sturgeon` imported. `prepare` is done in it before it begins."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._alike = alike(os.environ)
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ordering = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.zygote", str(theirs.fileno())],
                cwd=ROOT,
                env=self._alike,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                preexec_fn=prepare,
            )

    def can_start(self, argv: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether the process would be the same as one that Python starts."""
        if argv[1] == "-m":
            known = argv[0] == sys.executable and argv[2] in MODULES and argv[3] in NEEDED
        else:
            known = Path(argv[0]) == STURGEON and argv[1] in NEEDED
        return known and alike(env) == self._alike

    def start(self, argv: Sequence[str], folder: Path, env: Mapping[str, str], log: IO[bytes]) -> Forked:
        status, told = os.pipe()
        order = json.dumps({"argv": [*argv], "folder": str(folder), "env": {**env}}).encode()
        with self._ordering:
            socket.send_fds(self._orders, [order], [log.fileno(), told])
            os.close(told)
            answer = self._orders.recv(100)
        assert answer, f"the process that forks servers and workers ended with {self._process.wait()}"
        return Forked(int(answer), status)

    def end(self) -> None:
        self._orders.close()
        self._process.wait()


def alike(env: Mapping[str, str]) -> dict[str, str]:
    """What of an environment is read when Python starts, or by libraries when they are imported; but for what a worker
    or a command in the tests' own process has put there, which all of ours do by themselves."""
    ours = {**dict.fromkeys(VARIABLES, "1"), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    return {name: value for name, value in env.items() if not name.startswith(OF_THE_TEST) and value != ours.get(name)}
