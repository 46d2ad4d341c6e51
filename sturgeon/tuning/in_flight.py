"""How a `for` loop was left: a generator is told GeneratorExit by `break` and by an exception alike.

Python hides a raised exception from what is finalised while it travels. But its traceback names the loop's frame and
the instruction at which it was raised; if that is still the frame's last instruction, or that one raises an exception
again, one is on its way.
From Python 3.12 on the traceback belongs to the exception. In 3.11 the two meet only where it is caught, so that one
may have to look again a little later. Only what a `raise` has just made is known at once: it was allocated right before
its traceback. Any other exception that nothing refers to may be an old one that C code keeps.
One that was made before `gc.freeze()` cannot be found: only the place where it was raised is known. Nor can one be
found in 3.11 if the garbage was collected while it travelled to the loop, which changes the order of what is left.
"""

from __future__ import annotations

import dis
import gc
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Final

FEW_REFERENCES: Final = 6
"""More than an exception has that only the interpreter and the functions below refer to."""
MADE_WITH_IT: Final = (tuple, list, dict)
"""What an exception's constructor allocates after it: its arguments and attributes."""
RAISE: Final = dis.opmap["RAISE_VARARGS"]
RAISES: Final = frozenset({dis.opmap["RERAISE"], RAISE})


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
        traceback = _innermost(self._tracebacks[-1])
        return f"{PurePath(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno}"


@contextmanager
def garbage_left_alone() -> Iterator[None]:
    """Keep all threads from collecting garbage during a search, which takes long among very many objects."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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
    return _just_raised(_innermost(traceback)) if travels and sys.version_info < (3, 12) else None


def _innermost(traceback: TracebackType) -> TracebackType:
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback


def _just_raised(traceback: TracebackType) -> BaseException | None:
    """The exception that the `raise` at this traceback's place has made; None if it may be another one."""
    if traceback.tb_frame.f_code.co_code[traceback.tb_lasti] != RAISE:
        return None  # C code raised it, and has perhaps not made it yet
    # The collector has all objects as they were allocated, the oldest ones last. Making the traceback may have started
    # a collection: then what was made before it is of the next generation.
    for generation in range(3):
        objects = gc.get_objects(generation)
        try:
            place = next((place for place, one in enumerate(objects) if one is traceback), None)
            if place is not None:
                del objects[place:]
                return _made_last(objects, generation + 1)
        finally:
            objects.clear()  # it may have what refers to it, and would keep all of it alive
    return None


def _made_last(objects: list[object], older: int) -> BaseException | None:
    """The exception that was allocated last of `objects` or, where there is none left, of the `older` generations."""
    while True:
        while not objects:
            if older > 2:
                return None
            objects.extend(gc.get_objects(older))
            older += 1
        found = objects[-1]
        if _is_untold(found) and _only_in(objects, found):
            return found  # type: ignore[return-value]
        if type(found) not in MADE_WITH_IT:
            return None
        objects.pop()


def _is_untold(found: object) -> bool:
    # By its type: to ask some objects for their class runs code of theirs.
    return issubclass(type(found), BaseException) and found.__traceback__ is None  # type: ignore[attr-defined]


def _only_in(objects: list[object], found: object) -> bool:
    if sys.getrefcount(found) > FEW_REFERENCES:  # quick, where to look for the referrers is not
        return False
    return all(one is objects for one in gc.get_referrers(found))
