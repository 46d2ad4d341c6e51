"""JSON lines on standard error: an event, its level and time, and the study, trial, worker and epoch it is about."""

from __future__ import annotations

import logging
import sys
from typing import Protocol, Self

import structlog


class Log(Protocol):
    """A structlog logger, by the methods that we call."""

    def bind(self, **about: object) -> Self: ...
    def debug(self, event: str, **about: object) -> object: ...
    def info(self, event: str, **about: object) -> object: ...
    def warning(self, event: str, **about: object) -> object: ...
    def error(self, event: str, **about: object) -> object: ...
    def exception(self, event: str, **about: object) -> object: ...


def configure(level: str = "info") -> Log:
    """The root logger; `level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    log: Log = structlog.get_logger()
    return log
