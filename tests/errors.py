"""What went wrong in servers, workers and databases while a test ran: answers of 5xx, tracebacks and deadlocks.

Whoever starts a server or a process has it watched here; the fixture `no_unexpected_errors` of tests/conftest.py fails
a test for what was found and the test did not expect. A test that provokes an error says so:
`@pytest.mark.expects_errors("sampler failed")` takes regular expressions, each of which must be found in an error.
What a race brings or does not bring is for `tolerates_errors`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD, TAIL = 500, 2500
"""Characters that are kept of a long error: a traceback tells what went wrong at its end."""
ERROR: Final = ("error", "critical")
IN_POSTGRES: Final = re.compile(r"deadlock detected|lock timeout|PANIC:")
"""What a server's log tells of locks that were taken in the wrong order. A deadlock whose victim tries again is an
error too: nobody but this log tells of it."""


class ErrorWatch:
    """Collects errors from any thread and from the logs of processes."""

    def __init__(self) -> None:
        self._noted: list[str] = []
        self._logs: dict[Path, _Log] = {}
        self._changing = threading.Lock()

    def note(self, error: str) -> None:
        with self._changing:
            self._noted.append(shortened(error))

    def watch(self, log: Path, *, postgres: bool = False) -> None:
        """Read what is added to this file from now on."""
        with self._changing:
            self._logs.setdefault(log, _Log(log, errors_of_postgres if postgres else errors_of_process))

    def unwatch(self, log: Path) -> None:
        """Read it a last time: it is about to be removed."""
        with self._changing:
            if one := self._logs.pop(log, None):
                self._noted += one.added()

    def collect(self) -> list[str]:
        """All errors since the last call. Of the logs, those of databases are read on: they outlast a test."""
        with self._changing:
            found = [*self._noted, *(error for log in self._logs.values() for error in log.added())]
            self._noted = []
            self._logs = {path: log for path, log in self._logs.items() if log.errors_of is errors_of_postgres}
            return found


class _Log:
    def __init__(self, path: Path, errors_of: Callable[[str], Iterator[str]]) -> None:
        self._path, self.errors_of = path, errors_of
        self._read = path.stat().st_size if path.exists() else 0

    def added(self) -> list[str]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        self._read += len(text)
        return [shortened(f"{self._path.name}: {error}") for error in self.errors_of(text.decode(errors="replace"))]


WATCH: Final = ErrorWatch()


def shortened(error: str) -> str:
    return error if len(error) <= HEAD + TAIL else f"{error[:HEAD]}\n[...]\n{error[-TAIL:]}"


def errors_of_process(log: str) -> Iterator[str]:
    """The errors in what `sturgeon serve` or `sturgeon worker` wrote: JSON lines, and whatever else came to stderr."""
    lines = log.splitlines()
    for number, line in enumerate(lines):
        told = _json(line)
        if told.get("level") in ERROR or "exception" in told or _status(told) >= 500:
            yield line
        elif not told and line.startswith("Traceback (most recent call last)"):
            yield "\n".join(lines[number : number + 60])


def errors_of_postgres(log: str) -> Iterator[str]:
    """Lock trouble, with the statements that met."""
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if IN_POSTGRES.search(line):
            yield "\n".join(lines[number : number + 12])


def _json(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _status(told: dict[str, Any]) -> int:
    status = told.get("status")
    return status if isinstance(status, int) else 0


class Answers5xx:
    """Wraps an app of this process, and notes each answer of 5xx."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                WATCH.note(f"{message['status']} answered to {scope['method']} {scope['path']}")
            await send(message)

        await self._app(scope, receive, noted)


def note_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that notes what a server of this process logs as an error."""
    if event.get("level") in ERROR or event.get("exc_info"):
        WATCH.note(f"{event.get('event')}\n{_exception(event.get('exc_info'))}")
    return event


_configure: Final = structlog.configure


def _without_a_cache(**settings: Any) -> None:
    """A logger that a server in this process has cached would go on with that server's settings: this watch, and tests
    that capture lines, would never hear of it again."""
    _configure(**settings | {"cache_logger_on_first_use": False})


def log_to_watch() -> None:
    """What servers and workers of this process log is printed, and errors are noted."""
    structlog.configure = _without_a_cache  # type: ignore[assignment]
    print_plainly = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, note_event, print_plainly],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _exception(told: Any) -> str:
    error = told if isinstance(told, BaseException) else sys.exc_info()[1]
    return "".join(traceback.format_exception(error)) if error else ""


class NotingHandler(logging.Handler):
    """Notes what libraries log as an error: uvicorn an application that raised, asyncio a task that nobody awaited."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        WATCH.note(f"{record.name}: {record.getMessage()}\n{_exception(record.exc_info and record.exc_info[1])}")


def judged(found: Sequence[str], expected: Iterable[str], tolerated: Iterable[str] = ()) -> str:
    """What is wrong with these errors: some that no pattern fits, or one that was expected and did not come. Else
    empty. What is tolerated need not come."""
    patterns, more = list(expected), list(tolerated)
    strangers = [error for error in found if not any(re.search(pattern, error) for pattern in (*patterns, *more))]
    missing = [pattern for pattern in patterns if not any(re.search(pattern, error) for error in found)]
    said = [f"{len(strangers)} errors that this test did not expect:", *strangers] if strangers else []
    said += [f"Expected, but no error fits it: {pattern}" for pattern in missing]
    return "\n".join(said)
