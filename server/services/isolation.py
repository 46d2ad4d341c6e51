"""Parts of a background duty, each on its own: the failure of one does not end the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from sturgeon.errors import Unavailable
from sturgeon.threads import note_failure

log = structlog.get_logger()


@contextmanager
def isolated(duty: str, **about: object) -> Iterator[None]:
    """Do one part of a duty, such as one study. What it raises is logged, counted under `duty`, and goes no further.

    A database that is away or busy is logged too, but it is not a failure: the next turn tries again.
    about: what the log says of the part.
    """
    try:
        yield
    except Unavailable as error:
        log.warning("database is away", thread=duty, reason=error.message, **about)
    except Exception as error:
        note_failure(duty, error, log, **about)
