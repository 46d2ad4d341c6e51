"""A Python that has imported what takes long, and forks the programs of tests from itself.

`python forking_python.py SOCKET MODULE ..` imports the modules and listens there. tests/stand_ins.py starts it, and
makes the programs that ask it: each stands for `python SCRIPT ..` until that has ended. A forked program has the
arguments, folder, environment and open files of its stand-in, and its own exit code; it ends with its stand-in.

It has one thread, and needs nothing but the standard library of any environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
LARGEST_ORDER = 1_000_000


class Forking:
    """Takes orders from stand-ins, and tells each how its program has ended."""

    def __init__(self, path: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(path)
        self._listening.listen(100)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def next_program(self) -> dict[str, Any]:
        """Returns in each process that is forked, and never in this one."""
        while True:
            for key, _ in self._selector.select():
                if (order := key.data()) is not None:
                    return order  # type: ignore[no-any-return]

    def _accept(self) -> dict[str, Any] | None:
        stand_in, _ = self._listening.accept()
        text, files, _, _ = socket.recv_fds(stand_in, LARGEST_ORDER, 3)
        if not text:  # it was killed
            stand_in.close()
            return None
        parent = os.getpid()
        if (pid := os.fork()) == 0:
            order: dict[str, Any] = json.loads(text)
            self._close(stand_in)
            _become(order, files, parent)
            return order
        for file in files:
            os.close(file)
        stand_in.send(str(pid).encode())
        self._tell_the_end_of(pid, stand_in)
        return None

    def _close(self, stand_in: socket.socket) -> None:
        """In a forked program. Only what this module has opened: what a library has, it may close itself, and would
        close another file if that had got its number."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
            else:
                os.close(key.fd)
        stand_in.close()
        self._selector.close()

    def _tell_the_end_of(self, pid: int, stand_in: socket.socket) -> None:
        ended = os.pidfd_open(pid)

        def tell() -> None:
            _, code = os.waitpid(pid, 0)
            self._selector.unregister(ended)
            if stand_in in self._selector.get_map():
                self._selector.unregister(stand_in)
            os.close(ended)
            with contextlib.suppress(OSError):  # the stand-in was killed
                stand_in.send(str(os.waitstatus_to_exitcode(code)).encode())
            stand_in.close()

        def end() -> None:
            """The stand-in was killed; it says nothing after its order."""
            self._selector.unregister(stand_in)
            signal.pidfd_send_signal(ended, signal.SIGKILL)

        self._selector.register(ended, selectors.EVENT_READ, tell)
        self._selector.register(stand_in, selectors.EVENT_READ, end)


def _become(order: dict[str, Any], files: list[int], parent: int) -> None:
    """Be the program that was ordered, as after an exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    for number in order["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = order["argv"]
    paths = [path for path in order["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [*([] if order["safe"] else [os.path.dirname(os.path.abspath(sys.argv[0]))]), *paths]  # noqa: PTH100,PTH120
    at_once = "PYTHONUNBUFFERED" in order["env"]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _text(1, at_once=at_once, errors="strict")
    sys.stderr = _text(2, at_once=True, errors="backslashreplace")
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # `random` does so by itself
    if "torch" in sys.modules and (threads := order["env"].get("OMP_NUM_THREADS")):
        sys.modules["torch"].set_num_threads(int(threads))


def _text(number: int, *, at_once: bool, errors: str) -> io.TextIOWrapper:
    file = open(number, "wb", 0 if at_once else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(file, encoding="utf-8", errors=errors, write_through=at_once)


if __name__ == "__main__":
    gc.disable()
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()
    Forking(sys.argv[1]).next_program()
    runpy.run_path(sys.argv[0], run_name="__main__")
