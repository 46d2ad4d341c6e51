"""JSON lines on standard error: an event, its level and time, and the study, trial, worker and epoch it is about."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

Log = Any
"""A structlog logger; its type says nothing of the methods that we call."""


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
    return structlog.get_logger()
