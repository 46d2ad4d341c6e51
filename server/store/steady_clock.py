"""Time for what is measured, such as leases: it goes on evenly when the database's clock is put forward or back.

Steady time is the database's clock plus an offset, which all servers share: it is a row of the database. Each server
compares the database's clock with its own monotonic clock, which nobody can set. Where they have moved apart by more
than `TOLERANCE_US`, the database's clock was put forward or back. From that moment the server goes by its monotonic
clock, and one of its next duties changes the offset (`clock_offset.py`), so that all servers agree again, and
those that start later, too. Smaller differences are followed: clocks drift, and time servers correct them slowly.

What people read, such as when a trial finished, is the database's clock as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.store.tables import steady_clock

TOLERANCE_US: Final = 1_000_000

Monotonic = Callable[[], float]


class Reading(NamedTuple):
    """The database's clock in microseconds, read between two times of the monotonic clock, in microseconds, too."""

    wall: int
    earliest: int
    latest: int


class Offset(NamedTuple):
    """What is added to the database's clock; `steps` counts how often it was changed."""

    steps: int
    offset_us: int


class _Known(NamedTuple):
    """Steady time minus monotonic time lies between `low` and `high`: the reading took a moment."""

    offset: Offset
    low: int
    high: int


class SteadyClock:
    """The steady time of one server. `monotonic` (in seconds): None where the database's clock is one that only a test
    moves; then it is followed wherever it goes."""

    def __init__(self, monotonic: Monotonic | None) -> None:
        self._monotonic = monotonic
        self._known: _Known | None = None
        self._guarding = threading.Lock()

    def read(self, clock: Callable[[], int]) -> Reading:
        """Read the database's clock."""
        earliest = self.monotonic_us()
        wall = clock()
        return Reading(wall, earliest, self.monotonic_us())

    def steady(self, reading: Reading, offset: Offset) -> int:
        """Steady time, in microseconds, at a reading."""
        if self._monotonic is None:
            return reading.wall + offset.offset_us
        with self._guarding:
            if self._step(reading, offset) == 0:
                return reading.wall + offset.offset_us
            assert self._known is not None
            return (self._known.low + self._known.high + reading.earliest + reading.latest) // 2

    def step(self, reading: Reading, offset: Offset) -> int:
        """By how many microseconds the database's clock was put forward (or, if negative, back) since it was read last;
        0 where it was not, or where the offset allows for it already."""
        if self._monotonic is None:
            return 0
        with self._guarding:
            return self._step(reading, offset)

    def _step(self, reading: Reading, offset: Offset) -> int:
        steady = reading.wall + offset.offset_us
        new = _Known(offset, steady - reading.latest, steady - reading.earliest)
        known = self._known
        if known is None or offset.steps > known.offset.steps:  # another server's correction, or this one's own
            self._known = new
            return 0
        ahead, behind = new.low - known.high, known.low - new.high
        if max(ahead, behind) > TOLERANCE_US:
            return (new.low + new.high - known.low - known.high) // 2
        if offset == known.offset and reading.latest - reading.earliest < TOLERANCE_US:
            self._known = new
        return 0

    def monotonic_us(self) -> int:
        """The monotonic clock now, in microseconds; 0 where there is none."""
        return 0 if self._monotonic is None else round(self._monotonic() * 1e6)


_OFFSET: Final = sa.select(steady_clock.c.steps, steady_clock.c.offset_us)


def offset(connection: Connection) -> Offset:
    """The offset that all servers share."""
    row = connection.execute(_OFFSET).one_or_none()
    return Offset(0, 0) if row is None else Offset(*row)
