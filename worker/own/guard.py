"""The process between a trial's child and the user's program: it starts the program, and ends all that came of it.

A file for `python -I -S`, of the standard library only. Arguments: the number of the control socket, the run's folder,
how nice the program is, and the program with its arguments. The socket takes `T` (ask the program to end) and `K` (end
it, with all its descendants), and tells the end in a JSON line: {"exit": code} (a negative code is a signal), or
{"cannot": reason}. When the socket ends, the trial's child is gone: all is ended, and the folder deleted.

Processes whose parent has ended become children of this one (a subreaper), also those of a session of their own. So
when it has no child left, nothing of the program is left.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
FIRST_FOR_THE_OOM_KILLER = b"500"
END_WITHIN_S = 20.0
"""So long the end of what cannot be ended is waited for: a process of another user, or one that hangs in a disk."""
PAGE = os.sysconf("SC_PAGE_SIZE")


def become_subreaper() -> None:
    """From now on, orphans below this process become its children. Linux only; elsewhere nothing happens."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent and start time of a process; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[1]), int(fields[19])


def processes() -> dict[int, tuple[int, int]]:
    """All processes that are no zombies: parent and start time, by id. Empty where there is no /proc."""
    found = {}
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and (stat := _stat(int(name))) is not None and stat[0] != "Z":
                found[int(name)] = stat[1:]
    return found


def descendants(root: int) -> dict[int, int]:
    """The start times of all processes below `root`, by id."""
    everything = processes()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in everything.items():
        children.setdefault(parent, []).append(pid)
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found[pid] = everything[pid][1]
                waiting.append(pid)
    return found


def marked(entry: str) -> dict[int, int]:
    """The start times of all processes that were begun with this `NAME=value` in their environment, by id."""
    wanted, found = entry.encode(), {}
    for pid, (_, started) in processes().items():
        with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if wanted in file.read().split(b"\0"):
                found[pid] = started
    return found


def send(pid: int, started: int, how: int) -> None:
    """A signal for this very process: not for another that has got its number since."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return
    try:
        stat = _stat(pid)
        if stat is not None and stat[2] == started:
            signal.pidfd_send_signal(handle, how)
    except OSError:
        pass  # it has ended, or belongs to somebody else
    finally:
        os.close(handle)


def kill_all(found: dict[int, int]) -> None:
    """Stop all of these before the first is killed: none is left to begin another."""
    for how in (signal.SIGSTOP, signal.SIGKILL):
        for pid, started in found.items():
            send(pid, started, how)


def memory_of(root: int) -> int:
    """Bytes of memory of all processes below `root`."""
    return sum(_memory(pid, "statm", lambda text: int(text.split()[1]) * PAGE) for pid in descendants(root))


def shared_out_memory_of(root: int) -> int:
    """As `memory_of`, each shared page counted once: slower to find out."""
    return sum(_memory(pid, "smaps_rollup", _proportional) for pid in descendants(root))


def _proportional(text: bytes) -> int:
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(b"Pss:")), 0)


def _memory(pid: int, name: str, read: Callable[[bytes], int]) -> int:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return read(file.read())
    except (OSError, ValueError, IndexError):
        return 0  # it has ended


class Guard:
    """Starts the program, and waits for its end or an order."""

    def __init__(self, control: socket.socket, folder: str) -> None:
        self._control, self._folder = control, folder
        self._child: subprocess.Popen[bytes] | None = None
        self._exit: int | None = None

    def run(self, argv: list[str], nice: int) -> None:
        """Start it, and return when it has ended, and all that came of it."""
        woken = _woken_by_children()
        try:
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: _prepare(nice)
            )
        except (OSError, ValueError) as error:
            return self._tell({"cannot": getattr(error, "strerror", None) or str(error)})
        while self._exit is None:
            controlled = self._control.fileno()
            ready, _, _ = select.select([controlled, woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if controlled in ready and not self._obey():
                return None
        self._end_rest()
        return self._tell({"exit": self._exit})

    def _obey(self) -> bool:
        """Whether somebody waits for the program still."""
        order = self._control.recv(1)
        assert self._child is not None
        if order == b"T":
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGTERM)
        else:
            self._end_rest()
        if order == b"":
            shutil.rmtree(self._folder, ignore_errors=True)
        return order != b""

    def _reap(self) -> bool:
        """Take note of what has ended; whether a child is left."""
        assert self._child is not None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._child.pid:
                self._exit = self._child.returncode = os.waitstatus_to_exitcode(status)

    def _end_rest(self) -> None:
        deadline, pause = time.monotonic() + END_WITHIN_S, 0.001
        while self._reap() and time.monotonic() < deadline:
            kill_all(descendants(os.getpid()))
            if self._exit is None and self._child is not None and not os.path.isdir("/proc/self"):
                self._child.kill()
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        self._exit = -signal.SIGKILL if self._exit is None else self._exit

    def _tell(self, end: dict[str, object]) -> None:
        with suppress(OSError):
            self._control.sendall(json.dumps(end).encode() + b"\n")


def _prepare(nice: int) -> None:
    """In the program's process, before the program."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError):
        os.nice(nice)
    # Where the memory ends, the system shall take the program, not the worker.
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:
        file.write(FIRST_FOR_THE_OOM_KILLER)


def _woken_by_children() -> int:
    """A file that can be read when a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return reading


def main() -> None:
    """The arguments are those that the module's text names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    control, folder, nice, *argv = sys.argv[1:]
    with socket.socket(fileno=int(control)) as controlling:
        controlling.set_inheritable(False)
        Guard(controlling, folder).run(argv, int(nice))


if __name__ == "__main__":
    main()
