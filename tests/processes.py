"""Servers and workers as real processes, to be killed, paused and restarted."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import httpx

from tests.errors import WATCH
from tests.forked import STURGEON as STURGEON
from tests.forked import Forked, Zygote

DEADLINE_S = 180.0
"""So long a test waits for what comes at once on a quiet machine: enough for one at load 15. It waits for signals, so
a long deadline costs nothing; only what never comes takes so long to be told."""

LONG_DEADLINE_S = 840.0
"""For what takes a minute on a quiet machine: the commands of a whole document, a study of 100 trials."""

PR_SET_PDEATHSIG = 1
FIRST_LOOK_S, LONGEST_LOOK_S = 0.01, 0.2
libc = ctypes.CDLL(None)


class Process:
    """A program that runs until it is stopped. Start it from the main thread, whose death it follows."""

    def __init__(self, command: Sequence[str | Path], folder: Path, env: Mapping[str, str], name: str) -> None:
        self.command = [str(part) for part in command]
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.env = clean_environment() | env
        self._child: subprocess.Popen[bytes] | Forked | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        WATCH.watch(self.log)
        with self.log.open("ab") as log:
            if zygote().can_start(self.command, self.env):
                self._child = zygote().start(self.command, self.folder, self.env, log)
                return
            self._child = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def kill(self) -> None:
        self._end(signal.SIGKILL, DEADLINE_S)

    def stop(self, within_s: float = DEADLINE_S) -> int:
        """Ask it to end, as systemd and Docker do; its exit status."""
        return self._end(signal.SIGTERM, within_s)

    def pause(self) -> None:
        """Make a zombie of it: it lives, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def unpause(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, within_s: float = DEADLINE_S) -> int:
        """Its exit status, when it ends by itself."""
        assert self._child is not None
        try:
            return self._child.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} was still running after {within_s} s:\n{self.output}") from None

    def wait_until(self, reached: Callable[[], bool], what: str, within_s: float = DEADLINE_S) -> None:
        """Look until it has come so far; fail at once, with its output, if it ends before."""
        for _ in looks(within_s):
            if reached():
                return
            assert self.alive, f"{self} ended before {what}:\n{self.output}"
        raise AssertionError(f"{self} took over {within_s:.0f} s until {what}:\n{self.output}")

    def _end(self, how: signal.Signals, within_s: float) -> int:
        if self._child is None:
            return 0
        if self.alive:
            if how == signal.SIGKILL:
                WATCH.unwatch(self.log)  # what its orphans say of broken pipes is no error
            self._child.send_signal(how)
            if how == signal.SIGKILL:
                self._child.send_signal(signal.SIGCONT)
        return self.wait(within_s)

    def __str__(self) -> str:
        return " ".join(["sturgeon", *self.command[1:3]])


class ServerProcess(Process):
    """`sturgeon serve` on a loopback port that stays the same over its restarts."""

    def __init__(
        self,
        folder: Path,
        options: Sequence[str],
        env: Mapping[str, str],
        program: Sequence[str | Path] = (STURGEON,),
    ) -> None:
        self.port = free_port()
        self.url = f"{'https' if 'STURGEON_TLS_CERT' in env else 'http'}://127.0.0.1:{self.port}"
        super().__init__(
            [*program, "serve", *options],
            folder,
            {"STURGEON_PORT": str(self.port), **env},
            f"server-{self.port}",
        )

    def start(self) -> None:
        super().start()
        # verify=False: to read the certificates takes longer than all the rest of a look.
        with httpx.Client(base_url=self.url, timeout=DEADLINE_S, trust_env=False, verify=False) as http:
            self.wait_until(lambda: self._listens() and http.get("/readyz").is_success, "it was ready")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def restart(self) -> None:
        """Kill it and start it again, with the same database and address."""
        self.kill()
        self.start()


class WorkerProcess(Process):
    """`sturgeon worker`, known to the server by its name."""

    def __init__(
        self,
        server: str,
        name: str,
        folder: Path,
        options: Sequence[str],
        env: Mapping[str, str],
        program: Sequence[str | Path] = (STURGEON,),
    ) -> None:
        self.name = name
        command = [*program, "worker", "--server", server, "--name", name, *options]
        super().__init__(command, folder, env, f"worker-{name}")


def looks(within_s: float = DEADLINE_S) -> Iterator[None]:
    """Moments to look whether something has come, until the deadline: soon at first, then less and less often."""
    deadline, pause = time.monotonic() + within_s, FIRST_LOOK_S
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_LOOK_S)


def wait_until(reached: Callable[[], bool], what: str) -> None:
    """Look until something has come; fail when it never does."""
    if not any(reached() for _ in looks()):
        raise AssertionError(f"It took over {DEADLINE_S:.0f} s until {what}.")


def clean_environment() -> dict[str, str]:
    """This process's environment without a developer's own settings of Sturgeon, and without PYTHONSAFEPATH: a worker
    that ran in this process has set it, and a script would not find the modules beside it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STURGEON_") and name != "PYTHONSAFEPATH"
    }


def die_with_parent(how: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends the signal when the thread that started the child is gone.

    Ctrl-C and SIGTERM work in the child also where the tests were started with these ignored, as `nohup` and a script's
    `&` do.
    """

    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:  # it died before this was asked for
            os._exit(128 + how)
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, signal.SIG_DFL)

    return prepare


@cache
def zygote() -> Zygote:
    """The one of these tests. The main thread has to be the first that asks for it."""
    return Zygote(die_with_parent(signal.SIGKILL))


def end_zygote() -> None:
    """When the tests end."""
    if zygote.cache_info().currsize:
        zygote().end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
