"""Threads whose failure is noticed: logged with its traceback, counted, and handed to whoever decides what follows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol


class FailureLog(Protocol):
    """A logger that writes an event with the traceback of the present exception."""

    def exception(self, event: str, **about: object) -> object: ...


_failures: Counter[str] = Counter()
_successes: dict[str, float] = {}
_counting = threading.Lock()


def supervised(
    name: str,
    work: Callable[[], None],
    on_failure: Callable[[Exception], bool | None],
    log: FailureLog | None = None,
) -> threading.Thread:
    """Start a daemon thread that does `work`, and return it.

    An exception that `work` raises is logged with its traceback, counted under `name`, and given to `on_failure`, in
    the same thread. That ends the process, or what the thread served; or it returns True, and `work` begins again.
    What is no Exception, such as SystemExit or a panic in Rust code, is given to `on_failure` as a RuntimeError.
    `name` is a kind of thread ("heartbeat"), so that there are few of them; `log` is a structlog logger.
    """
    thread = threading.Thread(target=_run, args=(name, work, on_failure, log), name=name, daemon=True)
    thread.start()
    return thread


def failures() -> dict[str, int]:
    """How often the threads of each name have failed in this process."""
    with _counting:
        return dict(_failures)


def note_success(name: str) -> None:
    """Remember that a duty called `name` was done now, and nothing of it failed."""
    _successes[name] = time.time()


def successes() -> dict[str, float]:
    """When each duty was last done in this process, in seconds since 1970."""
    return dict(_successes)


def note_failure(name: str, error: BaseException, log: FailureLog | None = None, **about: object) -> None:
    """Log an unexpected exception with its traceback, and count it under `name`. To be called while it is handled."""
    with _counting:
        _failures[name] += 1
        times = _failures[name]
    log = log or _log()
    log.exception("thread failed", thread=name, reason=reason_of(error), failures=times, **about)


def _log() -> FailureLog:
    import structlog  # servers and workers have it; who uses the client alone gives a log

    log: FailureLog = structlog.get_logger()
    return log


def reason_of(error: BaseException) -> str:
    """An unexpected exception in half a sentence: its type, and what it says."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _run(
    name: str, work: Callable[[], None], on_failure: Callable[[Exception], bool | None], log: FailureLog | None
) -> None:
    while True:
        try:
            return work()
        except BaseException as raised:
            note_failure(name, raised, log)
            error = raised if isinstance(raised, Exception) else RuntimeError(reason_of(raised))
            if not on_failure(error):
                return None
