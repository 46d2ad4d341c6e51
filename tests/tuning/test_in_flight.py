"""The exception that leaves a loop is found, wherever the garbage collector has put it meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator

import pytest

from sturgeon.tuning import in_flight

THRESHOLD = 500


@pytest.fixture(autouse=True)
def _young_objects_are_few() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.collect(0)
    gc.set_threshold(THRESHOLD, *thresholds[1:])
    yield
    gc.set_threshold(*thresholds)


def test_an_exception_is_found_whatever_allocation_collects_the_garbage() -> None:
    """One of the loops is left just when the traceback's own allocation starts a collection."""
    for others in range(THRESHOLD - 30, THRESHOLD + 10):
        found: list[BaseException | None] = []

        def numbers(found: list[BaseException | None] = found) -> Iterator[int]:
            try:
                yield 1
            except GeneratorExit:
                left = in_flight.leaving(sys._getframe(1))
                found.append(left and left.error(travels=True))
                raise

        with pytest.raises(KeyboardInterrupt):
            _interrupted(numbers, others)

        assert [type(error) for error in found] == [KeyboardInterrupt], others


def _interrupted(numbers: Callable[[], Iterator[int]], others: int) -> None:
    for _ in numbers():
        gc.collect(0)
        _kept = [[] for _ in range(others)]  # type: ignore[var-annotated]
        raise KeyboardInterrupt
