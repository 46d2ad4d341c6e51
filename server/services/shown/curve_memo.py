"""Thinned curves that were read a moment ago: a page asks for them again, and most trials have ended."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final, NamedTuple

from sturgeon.identifiers import StudyId, TrialId

MOST_POINTS: Final = 1_000_000
"""Of all curves together: some 60 MB."""


class CurveKey(NamedTuple):
    """A curve as it was when `changed` was the number of the transaction that had last written its trial."""

    study: StudyId
    trial: TrialId
    changed: int
    metric: str
    points: int


class ThinCurve(NamedTuple):
    """A thinned curve. has_epochs: it runs along epochs, else along steps."""

    epochs: list[float]
    values: list[float]
    has_epochs: bool


class CurveMemo:
    """The curves that were used last, for all requests of a server."""

    def __init__(self, most_points: int = MOST_POINTS) -> None:
        self._most = most_points
        self._points = 0
        self._curves: OrderedDict[CurveKey, ThinCurve] = OrderedDict()
        self._guard = Lock()

    def find(self, key: CurveKey) -> ThinCurve | None:
        """The curve, if it is kept."""
        with self._guard:
            if (curve := self._curves.get(key)) is not None:
                self._curves.move_to_end(key)
            return curve

    def keep(self, key: CurveKey, curve: ThinCurve) -> None:
        """Keep a curve, in place of those that were used longest ago."""
        with self._guard:
            if key in self._curves:
                return
            self._curves[key] = curve
            self._points += len(curve.values)
            while self._points > self._most:
                _, dropped = self._curves.popitem(last=False)
                self._points -= len(dropped.values)
