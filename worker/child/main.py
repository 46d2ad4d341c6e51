"""What runs in a child process: the task of one trial, or of a stack of them, and a listener to the daemon."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from sturgeon import log_lines
from sturgeon.extras import Extra, has
from sturgeon.messages import TaskKind
from sturgeon.threads import supervised
from worker.child.protocol import Broken, DesiredRun, Job, Origins, PlacedMessage, Unable

OURS: Final = Path(__file__).resolve().parents[2]
"""The folder of our packages."""
KINDS: Final[tuple[TaskKind, ...]] = ("train", "command", "python")
"""What this worker can run: each kind is a file of its name."""

TASKS: Final[dict[str, str]] = {kind: f"worker.tasks.{kind}" for kind in KINDS}
"""The module of each kind of task; its `run` runs the trials."""

NEEDED: Final[dict[TaskKind, Extra]] = {"train": "trainer"}
"""The extra that a kind of task needs beyond `local`, which every worker has."""

ORPHANED: Final = 70
"""The exit code of a child whose daemon is gone."""

DEAF: Final = 71
"""The exit code of a child whose listener failed."""


def kinds_here() -> tuple[TaskKind, ...]:
    """The kinds of task that this worker can run: those whose extras are installed."""
    return tuple(kind for kind in KINDS if kind not in NEEDED or has(NEEDED[kind]))


NOTHING_DESIRED: Final = DesiredRun()


def run_child(pipe: Connection, jobs: Sequence[Job]) -> None:
    """Run trials of one shape; what each has to say goes into the pipe. Ends at once when the daemon is gone."""
    # Ctrl-C and systemd's stop reach every process; the daemon alone decides what becomes of its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listener = Listener(pipe)
    listener.start()
    try:
        for placed in _run(jobs, listener):
            pipe.send(placed)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(ORPHANED)
    except Exception as error:
        pipe.send(Broken(_paragraph(error)))


def _run(jobs: Sequence[Job], listener: Listener) -> Iterable[PlacedMessage]:
    kind = jobs[0].task.get("kind")
    if kind not in (able := kinds_here()):
        unable = Unable(f"This worker cannot run tasks of kind {kind!r}, only: {', '.join(able)}.")
        return [(place, unable) for place in range(len(jobs))]
    run: Callable[[Sequence[Job], Callable[[int], DesiredRun], Callable[[], bool]], Iterable[PlacedMessage]]
    run = importlib.import_module(TASKS[kind]).run
    return run(jobs, listener.desired, listener.news)


def tell_origins(pipe: Connection) -> None:
    """Say where this process would find the trainer, and whether it was there before the fork."""
    spec = importlib.util.find_spec("trainer")
    loaded = {TASKS[kind] for kind in kinds_here()} <= set(sys.modules)
    with suppress(BrokenPipeError, ConnectionResetError):  # the daemon is gone; nobody is told
        pipe.send(Origins(spec.origin if spec else None, loaded))


class Listener:
    """Hears what the daemon desires; when the daemon is gone the pipe ends, and with it this process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._desired: dict[int, DesiredRun] = {}
        self._news = False

    def start(self) -> None:
        # A run that hears nothing could never be stopped: the daemon learns from the exit code that it ended.
        supervised("listener", self._listen, lambda _error: os._exit(DEAF), log_lines.configure())

    def desired(self, place: int) -> DesiredRun:
        """What is desired of a place now."""
        return self._desired.get(place, NOTHING_DESIRED)

    def news(self) -> bool:
        """Whether something was heard since this was asked last."""
        if not self._news:
            return False
        self._news = False  # before it is looked at: what comes between is heard again
        return True

    def _listen(self) -> None:
        while True:
            try:
                place, desired = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(ORPHANED)
            self._desired[place] = desired
            self._news = True


def _paragraph(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sentence = f"{type(error).__name__} in {_place(Path(frame.filename))}, line {frame.lineno}: {error}"
    return sentence[:2000].replace("\0", "").encode(errors="replace").decode()


def _place(file: Path) -> str:
    """From our packages on, as `trainer/optim/schedules.py`; of other code the folder and the file."""
    return str(file.relative_to(OURS)) if file.is_relative_to(OURS) else f"{file.parent.name}/{file.name}"
