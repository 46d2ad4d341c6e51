"""A process that has the command `sturgeon` imported, and forks the servers and workers of the tests from itself.

A server imports for over a second of processor time, a worker for two, and the tests start hundreds. What is forked
here is what the console script would have become: `sturgeon.cli.__main__.main` with these arguments, environment,
folder and log, in a process of its own, which can be paused, killed and waited for. Or it is what `python -m` with one
of MODULES would have become.

It has one thread. `python -m tests.zygote FD` listens on that socket; tests/forked.py speaks to it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, util
from typing import Any, Final, NamedTuple, NoReturn

from sturgeon.one_thread import limit_programs

PR_SET_PDEATHSIG: Final = 1
LARGEST_ORDER: Final = 1_000_000
NEEDED: Final = {
    "serve": ["server.serving", "server.store.schema"],
    "worker": ["worker.child.preloaded", "worker.daemon"],
    "migrate": ["server.store.schema", "alembic.command", "alembic.config"],
}
"""What a command imports when it is called, and its first process does here."""
MODULES: Final = (
    "tests.worker.paced",
    "tests.faults.breakpoint_worker",
    "tests.faults.failpoints",
    "tests.faults.false_clock",
)
"""Programs `python -m MODULE worker ..` or `serve ..` that change what it looks up when it runs: they may import it
before."""


class Order(NamedTuple):
    """What a process begins with, after its log and the pipe for its exit status."""

    argv: list[str]
    folder: str
    env: dict[str, str]


class Zygote:
    """Takes orders, and tells how the processes have ended."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ, self._take)
        self._ready: set[str] = set()

    def next_process(self) -> Order:
        """Returns in each process that is forked, and never in this one, which ends with the tests."""
        while True:
            for key, _ in self._selector.select():
                if (order := key.data()) is not None:
                    return order  # type: ignore[no-any-return]

    def _take(self) -> Order | None:
        text, files, _, _ = socket.recv_fds(self._orders, LARGEST_ORDER, 2)
        if not text:
            os._exit(0)
        order = Order(**json.loads(text))
        self._import_for(order.argv)
        log, status = files
        parent = os.getpid()
        assert os.listdir("/proc/self/task") == [str(parent)], "a thread does not come along in a fork"  # noqa: PTH208
        if (pid := os.fork()) == 0:
            _become(order, log, parent)
            return order
        os.close(log)
        self._tell_the_end_of(pid, status)
        self._orders.send(str(pid).encode())
        return None

    def _import_for(self, argv: Sequence[str]) -> None:
        for command in NEEDED.keys() & set(argv) - self._ready:
            self._ready.add(command)
            for name in NEEDED[command]:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()

    def _tell_the_end_of(self, pid: int, status: int) -> None:
        ended = os.pidfd_open(pid)

        def tell() -> None:
            _, code = os.waitpid(pid, 0)
            self._selector.unregister(ended)
            os.close(ended)
            os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
            os.close(status)

        self._selector.register(ended, selectors.EVENT_READ, tell)


def _become(order: Order, log: int, parent: int) -> None:
    """Be the process that was ordered, as after an exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before this was asked for
        os._exit(128 + signal.SIGKILL)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.env)
    sys.argv = list(order.argv)
    sys.path[0] = os.path.dirname(order.argv[0])  # noqa: PTH120
    util.spawnv_passfds = _fork_server_or(util.spawnv_passfds)


def _fork_server_or(spawn: Callable[..., int]) -> Callable[..., int]:
    """A worker's own fork server is forked as well: it would import the trainer once more.

    The worker starts it before it has threads.
    """

    def start(path: Any, args: Sequence[Any], passed: Sequence[int]) -> int:
        code = str(args[-1])
        call = code.removeprefix("from multiprocessing.forkserver import main; ")
        if call == code:
            return spawn(path, args, passed)
        sys.stdout.flush()
        sys.stderr.flush()
        if (pid := os.fork()) == 0:
            _be_fork_server(call, set(passed))
        return pid

    return start


def _be_fork_server(call: str, passed: set[int]) -> NoReturn:
    try:
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        kept = sorted({0, 1, 2} | passed)
        for before, after in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(before + 1, after)
        forkserver._forkserver.__init__()  # type: ignore[misc]  its lock is held by the worker that starts it
        eval(call, {"main": forkserver.main})  # what `python -c` would have been given
        os._exit(0)
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "__main__":
    gc.disable()
    limit_programs()  # before NumPy is imported
    importlib.import_module("sturgeon.ours_first")
    from sturgeon.cli.__main__ import main

    sys.modules["httpx._main"] = None  # type: ignore[assignment]  as main does
    importlib.import_module("sturgeon.cli.app")
    importlib.import_module("sturgeon.client")
    gc.enable()
    order = Zygote(socket.socket(fileno=int(sys.argv[1]))).next_process()
    if order.argv[1] == "-m":
        sys.argv = order.argv[2:]
        sys.path[:1] = [order.folder, *order.env.get("PYTHONPATH", "").split(os.pathsep)]
        runpy.run_module(order.argv[2], run_name="__main__", alter_sys=True)
    else:
        main()
