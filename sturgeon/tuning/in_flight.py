"""How a `for` loop was left: a generator is told GeneratorExit by `break` and by an exception alike.

Python hides a raised exception from what is finalised while it travels. But its traceback names the loop's frame and
the instruction at which it was raised; if that is still the frame's last instruction, or that one raises an exception
again, one is on its way.
From Python 3.12 on the traceback belongs to the exception. In 3.11 the two meet only where it is caught, so that one
may have to look again a little later.
"""

from __future__ import annotations

import dis
import gc
import inspect
import sys
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Final

FEW_REFERENCES: Final = 6
"""More than an exception has that only the interpreter and the functions below refer to."""
RAISES: Final = frozenset({dis.opmap["RERAISE"], dis.opmap["RAISE_VARARGS"]})


class Leaving:
    """An exception that is leaving a loop, or has left it. `tracebacks`: of the loop's frame; and, where a generator
    stands between the loop and us (`tqdm(study)`), of the frames behind it."""

    def __init__(self, tracebacks: list[TracebackType]) -> None:
        self._tracebacks = tracebacks

    def error(self, *, travels: bool) -> BaseException | None:
        """The exception; None while it cannot be found, or when it has been caught and forgotten. `travels`: it has
        not been caught yet."""
        for traceback in self._tracebacks:
            error = _owner(traceback, travels=travels)
            if error is not None and not isinstance(error, GeneratorExit):
                return error
        return None

    def where(self) -> str:
        """The place where it was raised."""
        traceback = self._tracebacks[-1]
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        return f"{PurePath(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno}"


def leaving(frame: FrameType | None) -> Leaving | None:
    """What is leaving this frame just now; None if it goes on by itself, as after a `break`."""
    tracebacks: list[TracebackType] = []
    while frame is not None:
        traceback = _traceback_of(frame)
        if traceback is None:
            return None
        tracebacks.append(traceback)
        error = _owner(traceback, travels=True)
        is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
        if not is_generator or not (error is None or isinstance(error, GeneratorExit)):
            return Leaving(tracebacks)
        frame = frame.f_back
    return None


def _traceback_of(frame: FrameType) -> TracebackType | None:
    """The part for this frame of the traceback of what is leaving it."""
    found = [one for one in gc.get_referrers(frame) if isinstance(one, TracebackType) and one.tb_frame is frame]
    raised_here = [one for one in found if one.tb_lasti == frame.f_lasti]
    again = found if frame.f_code.co_code[frame.f_lasti] in RAISES else []
    return next(reversed(raised_here or again), None)


def _owner(traceback: TracebackType, *, travels: bool) -> BaseException | None:
    """The exception whose traceback this one is part of."""
    part: TracebackType | None = traceback
    while part is not None:
        referrers = gc.get_referrers(part)
        for found in referrers:
            if issubclass(type(found), BaseException) and found.__traceback__ is part:
                return found  # type: ignore[no-any-return]
        part = next((one for one in referrers if isinstance(one, TracebackType) and one.tb_next is part), None)
    return _unreferenced() if travels and sys.version_info < (3, 12) else None


def _unreferenced() -> BaseException | None:
    """The newest exception that nothing in Python refers to, and that has not been caught yet: the one on its way."""
    for generation in range(3):
        objects = gc.get_objects(generation)
        try:
            for found in reversed(objects):
                if _is_untold(found) and _only_in(objects, found):
                    return found  # type: ignore[no-any-return]
        finally:
            objects.clear()  # it may have what refers to it, and would keep all of it alive
    return None


def _is_untold(found: object) -> bool:
    # By its type: to ask some objects for their class runs code of theirs.
    return issubclass(type(found), BaseException) and found.__traceback__ is None  # type: ignore[attr-defined]


def _only_in(objects: list[object], found: object) -> bool:
    if sys.getrefcount(found) > FEW_REFERENCES:  # quick, where to look for the referrers is not
        return False
    return all(one is objects or isinstance(one, FrameType) for one in gc.get_referrers(found))
