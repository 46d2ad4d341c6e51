"""Parts of a background duty, each on its own: the failure of one does not end the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from sturgeon.errors import Unavailable
from sturgeon.threads import note_failure, note_success

log = structlog.get_logger()


class _Round(threading.local):
    """Whether something has failed in the round that this thread is in."""

    failed = False


_round: Final = _Round()


@contextmanager
def isolated(duty: str, **about: object) -> Iterator[None]:
    """Do one part of a duty, such as one study. What it raises is logged, counted under `duty`, and goes no further.

    A database that is away or busy is logged too, but it is not a failure: the next turn tries again. Without `about`
    it is the whole duty, which succeeds when no part of it has raised.
    about: what the log says of the part.
    """
    before, _round.failed = _round.failed, False
    try:
        yield
    except Unavailable as error:
        _round.failed = True
        log.warning("database is away", thread=duty, reason=error.message, **about)
    except Exception as error:
        _round.failed = True
        note_failure(duty, error, log, **about)
    finally:
        if not _round.failed and not about:
            note_success(duty)
        _round.failed = _round.failed or before
