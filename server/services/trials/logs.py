"""What a run of a trial prints: the holder of its lease sends it from time to time, and people read it."""

from __future__ import annotations

import zlib
from typing import Final, Literal

from server.services import lookup
from server.store import holders, leases, trial_logs
from server.store.engine import Database
from sturgeon.errors import Invalid, LeaseLost, NotFound
from sturgeon.identifiers import Fence, TrialNumber

Run = Literal["last", "before"]
QUICK: Final = 1
"""The level of the compression: logs are sent again and again while they grow."""


def store(database: Database, name: str, number: TrialNumber, fence: Fence, text: bytes) -> None:
    """Store the log of the present run, instead of what it sent before; renews its lease.

    Raises: Invalid (it is not UTF-8), NotFound, LeaseLost.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Invalid("A log is text in UTF-8; replace what is not before you send it.") from None
    body = zlib.compress(text, QUICK)
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        if leases.renew(tx, trial, fence) is None:
            if holders.was_held(tx, study, trial, fence) and trial_logs.of_run(tx, trial.id, fence) == body:
                return  # the same upload came before
            raise LeaseLost(f"The lease of trial {number} is not yours any more; its log was not stored.")
        trial_logs.replace(tx, trial.id, fence, body, tx.now())


def read(database: Database, name: str, number: TrialNumber, run: Run) -> bytes:
    """What the last run of the trial that sent a log has printed, or the one before it. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        bodies = trial_logs.of_trial(tx, lookup.get_trial(tx, study, number).id)
    place = 0 if run == "last" else 1
    if place >= len(bodies):
        what = "has no log" if not bodies else "has a log of one run only"
        raise NotFound(f"Trial {number} of {name} {what}; a worker that runs your own code sends what it prints.")
    return zlib.decompress(bodies[place])
