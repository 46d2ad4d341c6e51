"""Log lines on standard error: one way for servers, workers, and the libraries that they use.

A line is an event, its level and time, and what it is about: JSON for programs, or a short form for people at a
terminal. In both, one event is one line but for tracebacks, and nothing that a client has sent can end the line, look
like another one, or move the cursor. What cannot be written, to a full disk say, is dropped: no request fails for it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from sturgeon.logs import Log, LogFormat, LogLevel

LIBRARIES: Final[dict[LogLevel, int]] = {
    "debug": logging.INFO,
    "info": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""From which level on libraries are heard, such as uvicorn and alembic."""
SECRETIVE: Final = ("sqlalchemy", "httpx", "httpcore")
"""Below warnings, the lines of these have statements and requests, with their values and addresses."""
SECRETS: Final = re.compile(
    r"""(sturgeon_)[A-Za-z0-9_-]{43}|(whsec_)[A-Za-z0-9+/]{20,}=*|(Bearer )[!#-&(-\[\]-~]{8,}|(://[^/\s"'@:]*:)[^/\s"']*(?=@)"""
)
"""Tokens, secrets of webhooks, and what stands before the host of an address: whoever made a mistake may have sent one
in the place of a name."""
COLOURS: Final = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}
"""ANSI's numbers for levels on a terminal."""

Event = MutableMapping[str, Any]


def configure(level: LogLevel = "info", log_format: LogFormat | None = None, *about: Processor) -> Log:
    """Log from this level on, and return the root logger.

    log_format: by default `console` where standard error is a terminal, else `json`. about: processors that add to a
    line what it is about, such as the request.
    """
    stream = sys.stderr
    at_terminal = stream.isatty()
    for_people = log_format == "console" or (log_format is None and at_terminal)
    time = structlog.processors.TimeStamper("%H:%M:%S" if for_people else "iso", utc=not for_people)
    processors: list[Processor] = [
        *about,
        structlog.processors.add_log_level,
        time,
        structlog.processors.format_exc_info,
    ]
    renderer = without_secrets(ForPeople(colours=at_terminal) if for_people else as_json)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=lambda *_: Lines(stream),
        cache_logger_on_first_use=True,  # else each line, also one that is not logged, makes a logger
    )
    _take_over_libraries(level, processors, renderer, stream)
    log: Log = structlog.get_logger()
    return log


def without_secrets(renderer: Callable[[Any, str, Event], str]) -> Processor:
    """The renderer, whose lines have *** where a secret was."""

    def render(logger: Any, method: str, event: Event) -> str:
        return SECRETS.sub(lambda found: f"{found[found.lastindex or 0]}***", renderer(logger, method, event))

    return render


def _take_over_libraries(level: LogLevel, processors: list[Processor], renderer: Processor, stream: TextIO) -> None:
    """Lines of Python's own logging go through the same processors."""
    named: list[Processor] = [structlog.stdlib.add_logger_name, *processors]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=named
        )
    )
    logging.basicConfig(level=LIBRARIES[level], handlers=[handler], force=True)
    for name in SECRETIVE:
        logging.getLogger(name).setLevel(max(LIBRARIES[level], logging.WARNING))


def _number(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


class Lines(structlog.WriteLogger):
    """Writes lines to a stream; those that it does not take are lost."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # its disk is full, its reader gone, or it is closed
            super().msg(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = msg


def as_json(_logger: Any, _method: str, event: Event) -> str:
    """The line as one JSON object in ASCII; what JSON has no word for is written as Python does."""
    try:
        return json.dumps(event, allow_nan=False, default=repr)
    except ValueError:  # a number that is none, or infinite
        return json.dumps({name: repr(value) if isinstance(value, float) else value for name, value in event.items()})


class ForPeople:
    """The line as `01:52:03 warning lease ran out  study=bowl trial=3`, a traceback indented below it."""

    def __init__(self, *, colours: bool = False) -> None:
        self._colours = colours

    def __call__(self, _logger: Any, _method: str, event: Event) -> str:
        time, level = event.pop("timestamp", ""), str(event.pop("level", ""))
        said, traceback = printable(str(event.pop("event", ""))), str(event.pop("exception", ""))
        about = " ".join(f"{printable(name)}={_value(value)}" for name, value in event.items())
        number = COLOURS.get(level) if self._colours else None
        shown = f"\x1b[{number}m{level:7}\x1b[0m" if number else f"{level:7}"
        below = "".join(f"\n    {printable(line)}" for line in traceback.splitlines())
        return f"{time} {shown} {said}{'  ' if about else ''}{about}{below}"


def _value(value: object) -> str:
    """Quoted where it could be taken for more than one."""
    text = value if isinstance(value, str) else str(value)
    plain = text and not any(letter.isspace() or letter in "\"'=" for letter in text)
    return printable(text) if plain else printable(json.dumps(text, ensure_ascii=False))


def printable(text: str) -> str:
    """The text with escapes for what moves a cursor, ends a line or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
