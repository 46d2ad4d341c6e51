"""What workers that have ended left in the spool is delivered before a new one asks for work."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from sturgeon.logs import Log
from worker.child.protocol import DesiredRun, LastWord, SavedCheckpoint, WorkerEnded
from worker.trial.running import RunningTrial
from worker.trial.spool import Spool, TrialSpool, read_trial

LOOK_EVERY_S = 0.5


class NoChild:
    """In the place of a child that ended with its worker."""

    def steer(self, place: int, desired: DesiredRun) -> None:
        """Nobody hears it."""

    def leave(self, place: int) -> None:
        """Nobody waits."""


def deliver(spool: Spool, client: Client, log: Log, draining: threading.Event) -> None:
    """Deliver the reports, checkpoints and results of trials whose worker has ended, for as long as their leases are
    not lost. Waits for a server that is away, until `draining` is set."""
    for worker in spool.left_behind():
        for folder in sorted(worker.glob("*/")):
            if draining.is_set():
                return
            _deliver_trial(folder, client, log, draining)


def _deliver_trial(folder: Path, client: Client, log: Log, draining: threading.Event) -> None:
    try:
        lease, messages = read_trial(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("what a worker left behind could not be read", folder=str(folder), reason=str(error))
        return shutil.rmtree(folder, ignore_errors=True)
    ended = threading.Event()

    def on_end(_trial: RunningTrial, _fatal: SturgeonError | None) -> None:
        ended.set()

    log = log.bind(study=lease.study, trial=lease.number, fence=lease.fence)
    log.info("delivering what a worker left behind", messages=len(messages))
    spool = TrialSpool(folder, log)
    trial = RunningTrial(lease, NoChild(), 0, client, log, on_end, spool)
    for message in messages:
        trial.hear(spool.bound(message) if isinstance(message, SavedCheckpoint) else message)
    if not messages or not isinstance(messages[-1], LastWord):
        trial.hear(WorkerEnded())
    messages.clear()  # each checkpoint's file goes when it is there
    trial.start()
    while not ended.wait(LOOK_EVERY_S):
        if draining.is_set():
            return trial.leave_to_the_next()
    return None
