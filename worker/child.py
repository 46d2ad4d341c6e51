"""What runs in a child process: the task of one trial, or of a stack of them, and an ear for the daemon."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from worker.pipe import Broken, End, Job, Origins, Placed, Steer

TASKS: Final = {"train": "worker.tasks.train"}
ORPHANED: Final = 70
NOTHING_DESIRED: Final = Steer()


def main(pipe: Connection, jobs: Sequence[Job]) -> None:
    """Run trials of one shape; the Progress and End of each go into the pipe. Ends at once when the daemon is gone."""
    # Ctrl-C and systemd's stop reach every process; the daemon alone decides what becomes of its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ear = _Ear(pipe)
    ear.start()
    try:
        for placed in _run(jobs, ear):
            pipe.send(placed)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(ORPHANED)
    except Exception as error:
        pipe.send(Broken(_paragraph(error)))


def _run(jobs: Sequence[Job], ear: _Ear) -> Iterable[Placed]:
    kind = jobs[0].task.get("kind")
    if kind not in TASKS:
        end = End("failed", error=f"This worker cannot run tasks of kind {kind!r}, only: {', '.join(TASKS)}.")
        return [(place, end) for place in range(len(jobs))]
    run: Callable[[Sequence[Job], Callable[[int], Steer], Callable[[], bool]], Iterable[Placed]]
    run = importlib.import_module(TASKS[kind]).run
    return run(jobs, ear.desired, ear.news)


def tell_origins(pipe: Connection) -> None:
    """Say where this process would find the trainer, and whether it was there before the fork."""
    found = importlib.util.find_spec("trainer")
    pipe.send(Origins(found.origin if found else None, loaded=set(TASKS.values()) <= set(sys.modules)))


class _Ear(threading.Thread):
    """Hears what the daemon desires; when the daemon is gone the pipe ends, and with it this process."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(name="ear", daemon=True)
        self._pipe = pipe
        self._desired: dict[int, Steer] = {}
        self._news = False

    def desired(self, place: int) -> Steer:
        """What is desired of a place now."""
        return self._desired.get(place, NOTHING_DESIRED)

    def news(self) -> bool:
        """Whether something was heard since this was asked last."""
        if not self._news:
            return False
        self._news = False  # before it is looked at: what comes between is heard again
        return True

    def run(self) -> None:
        while True:
            try:
                place, wish = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(ORPHANED)
            self._desired[place] = wish
            self._news = True


def _paragraph(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = Path(frame.filename)
    told = f"{type(error).__name__} in {file.parent.name}/{file.name}, line {frame.lineno}: {error}"
    return told[:2000].replace("\0", "").encode(errors="replace").decode()
