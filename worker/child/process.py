"""Child processes: one for each trial or stack that runs, forked from a process that has the trainer loaded."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import connection, forkserver, util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sturgeon.errors import SturgeonError
from sturgeon.one_thread import limit_programs
from sturgeon.temporary import TemporaryFolder, sweep_once
from sturgeon.threads import reason_of
from worker.child import main
from worker.child.protocol import Broken, DesiredRun, Finished, Job, LastWord, LeaveStack, Origins, PlacedMessage

KIND: Final = "sturgeon-worker-"
"""How the folder of a worker begins, in that for temporary files."""
LONGEST_TMPDIR: Final = 107 - len(f"/{KIND}12345678/pymp-12345678/listener-12345678")

_context = multiprocessing.get_context("forkserver")
_bookkeeping = threading.Lock()  # multiprocessing's own, when processes start and end in several threads
# When the worker ends, multiprocessing waits for its processes: no thread closes one of them then.
atexit.register(_bookkeeping.acquire, timeout=5.0)


class CannotStart(Exception):
    """The system gave no process; one sentence says why."""


def start_fork_server() -> None:
    """Start the process that forks the children, and check that they get our trainer; in the main thread.

    Raises: SturgeonError (another package of the name `trainer` is in the way, or no process can be started).
    """
    limit_programs()
    # A user's own trainer.py in the current folder must not be taken for ours.
    os.environ["PYTHONSAFEPATH"] = "1"
    if Path(sysconfig.get_path("purelib")) != main.OURS:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(main.OURS), os.environ.get("PYTHONPATH")]))
    _context.set_forkserver_preload(["sturgeon.ours_first", "worker.child.preloaded"])
    with _stop_signals_ignored(), _short_socket_path():
        forkserver.ensure_running()
    _check_origins()


def _check_origins() -> None:
    try:
        pipe, process = _started(main.tell_origins)
    except CannotStart as error:
        raise SturgeonError(str(error)) from None
    try:
        origins: Origins = pipe.recv()
    except (EOFError, OSError):
        raise SturgeonError("The worker cannot start child processes; the lines above say why.") from None
    finally:
        pipe.close()
        process.join()
    if origins.trainer is None or Path(origins.trainer).resolve().parents[1] != main.OURS:
        raise SturgeonError(
            f"Another package named trainer is in the way: {origins.trainer}. "
            "Take its folder out of PYTHONPATH, or start the worker elsewhere."
        )
    if not origins.loaded:
        raise SturgeonError("The trainer could not be loaded; `python -c 'import worker.tasks.train'` says why.")


class Child:
    """The process of trials of one shape. `messages` is for one thread; the other methods are for any.

    Raises: CannotStart.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._pipe, self._process = _started(main.run_child, jobs)
        self._places = len(jobs)
        assert self._process.pid is not None  # it has started
        self.pid: int = self._process.pid
        self._writing = threading.Lock()  # nobody may write to a file that is being closed: its number is used again

    def messages(self) -> Iterator[PlacedMessage]:
        """What the child says of each of its places, until it has ended.

        The last of a place is its last word: the child's own, or a Finished that says how it died. The trials of a
        stack that broke leave it.
        """
        left, broken = set(range(self._places)), None
        while left and broken is None:
            try:
                received = self._pipe.recv()
            except (EOFError, OSError):
                break
            if isinstance(received, Broken):
                broken = received.reason
                continue
            place, message = received
            if isinstance(message, LastWord):
                left.discard(place)
            yield place, message
        code = self._ended()
        reason = broken or _death(code)
        for place in sorted(left):
            yield place, LeaveStack(reason) if self._places > 1 else Finished("failed", error=reason)

    def _ended(self) -> int | None:
        """The exit code, when the process has ended; its files are closed."""
        connection.wait([self._process.sentinel])
        with _bookkeeping:
            self._process.join()
            code = self._process.exitcode
            self._process.close()
        with self._writing:
            self._pipe.close()
        return code

    def steer(self, place: int, desired: DesiredRun) -> None:
        """What is desired of a trial from now on; in vain when the child has ended."""
        with self._writing, suppress(OSError):
            self._pipe.send((place, desired))

    def kill(self) -> None:
        """End it now. `messages` then ends soon."""
        with suppress(ValueError):  # it has ended
            self._process.kill()


def _started(target: Callable[..., None], *args: object) -> tuple[Connection[Any, Any], ForkServerProcess]:
    """Our end of a pipe, and the process that has its other end.

    Raises: CannotStart.
    """
    try:
        ours, theirs = _context.Pipe()
    except OSError as error:
        raise CannotStart(_refusal(error)) from error
    with theirs:
        process = _context.Process(target=target, args=(theirs, *args), name="trial")
        try:
            with _bookkeeping, _nameless_main():
                process.start()
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError | EOFError):
                raise CannotStart(_refusal(error)) from error
            raise
    return ours, process


def _refusal(error: Exception) -> str:
    return f"The worker cannot start child processes: {reason_of(error)}."


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"The process of this trial was killed by {name}{hint}."
    return f"The process of this trial ended with exit code {code} before it was done."


@contextmanager
def _nameless_main() -> Iterator[None]:
    """multiprocessing runs the main script again in each child; ours is a command line, slow to import."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _stop_signals_ignored() -> Iterator[None]:
    """An ignored signal stays ignored in a new process: Ctrl-C and systemd's stop spare the fork server."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _short_socket_path() -> Iterator[None]:
    """multiprocessing listens on a socket below TMPDIR, whose path may have 107 bytes; a longer TMPDIR is passed by."""
    given = tempfile.gettempdir()
    if len(os.fsencode(given)) > LONGEST_TMPDIR:
        tempfile.tempdir = "/tmp"
    try:
        _keep_sockets_in(_worker_folder())
        yield
    finally:
        tempfile.tempdir = given


@cache
def _worker_folder() -> TemporaryFolder:
    """Deleted at this process's end after what multiprocessing has in it, which does so at -100."""
    sweep_once(KIND)
    folder = TemporaryFolder(KIND, at_exit=False)
    util.Finalize(None, folder.delete, exitpriority=-200)
    return folder


def _keep_sockets_in(folder: TemporaryFolder) -> None:
    """multiprocessing deletes its folder at the end; that of a worker that is killed is left to our next one."""
    temporary, tempfile.tempdir = tempfile.tempdir, str(folder.path)
    try:
        util.get_temp_dir()  # from here on it keeps to this one
    finally:
        tempfile.tempdir = temporary
