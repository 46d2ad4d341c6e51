"""What trials start from: the best checkpoint of another trial, fetched for the child."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from sturgeon.client import Client
from sturgeon.errors import InternalError, NotFound, Problem, ServerUnreachable

AFTER_A_FAULT_S: Final = 5.0


class NoSource(Exception):
    """The trial cannot start; one sentence says why."""


def source_of(client: Client, task: Mapping[str, Any], sleep: Callable[[float], None]) -> bytes | None:
    """The best checkpoint of the trial that `start_from` names as STUDY/NUMBER; None where the task names none.

    Waits for a server that is away, in `sleep`, which may raise to end that. Raises NoSource.
    """
    named = task.get("start_from")
    if named is None:
        return None
    study, _, number = str(named).rpartition("/")
    if not (study and number.isdecimal() and number.isascii()):
        raise NoSource(f"start_from names a trial as STUDY/NUMBER, for example digits/3; {named!r} is none.")
    patient = client.with_patience(math.inf, sleep)
    while True:
        try:
            return patient.checkpoint(study, int(number), "best")
        except (InternalError, ServerUnreachable):
            sleep(AFTER_A_FAULT_S)
        except NotFound as error:
            raise NoSource(f"There is no checkpoint of {named} to start from: {error.message}") from None
        except Problem as error:
            raise NoSource(f"The checkpoint of {named} could not be read: {error.message}") from None
