"""Ends the trial of a loop that was left: an exception is told as failed, a `break` gives the trial back."""

from __future__ import annotations

import atexit
import threading
from types import FrameType
from typing import Final, Protocol

from sturgeon.tuning import in_flight

SETTLED_AFTER_S: Final = 0.1
"""By then the exception has been caught; the trial's end is told sooner if the program uses its study."""


class Endable(Protocol):
    """A trial that can be ended."""

    def leave(self, error: BaseException | None, where: str | None = None) -> None: ...

    def fail(self, error: BaseException | str) -> None: ...

    def release(self) -> None: ...


_unsettled: list[tuple[Endable, in_flight.Leaving]] = []


def end(trial: Endable, frame: FrameType | None) -> None:
    """End the trial of the loop in `frame`, which is being left. None: the interpreter ends, or collects garbage in a
    thread that runs no Python."""
    if frame is None:
        return trial.release()
    with in_flight.garbage_left_alone():
        left = in_flight.leaving(frame)
        error = None if left is None else left.error(travels=True)
    if left is None:
        return trial.release()
    if error is not None:
        return trial.leave(error, left.where())
    # The interpreter has not made the exception yet (3.11): it does so where it is caught, or at the end.
    _unsettled.append((trial, left))
    atexit.register(_settle_at_exit)
    timer = threading.Timer(SETTLED_AFTER_S, settle)
    timer.daemon = True
    timer.start()
    return None


def settle() -> None:
    """End the trials of loops that were left by an exception that was not known then."""
    while _unsettled:
        try:
            trial, left = _unsettled.pop()
        except IndexError:  # another thread took it
            return
        if (error := left.error(travels=False)) is not None:
            trial.leave(error)
        else:
            trial.fail(f"An exception left the loop ({left.where()}).")


def _settle_at_exit() -> None:
    """What ends the program without being remembered is SystemExit."""
    while _unsettled:
        trial, left = _unsettled.pop()
        error = left.error(travels=False)
        trial.leave(SystemExit() if error is None else error)
