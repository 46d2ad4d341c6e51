"""The exception that leaves a loop is found, wherever the garbage collector has put it meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator

import pytest

from sturgeon.tuning import in_flight

THRESHOLD = 500
NEVER = 1_000_000


@pytest.fixture(autouse=True)
def _young_objects_are_few() -> Iterator[None]:
    """Only they are collected: to collect older ones with them mixes what other tests have left into their order."""
    thresholds = gc.get_threshold()
    gc.collect(0)
    gc.set_threshold(THRESHOLD, NEVER, NEVER)
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


def test_an_exception_is_found_while_other_threads_would_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search among many objects lets others run; a collection changes the order of what is left."""
    found: list[BaseException | None] = []
    referrers = gc.get_referrers

    def while_others_run(*objects: object) -> list[object]:
        _garbage = [{number} for number in range(THRESHOLD)]
        if gc.isenabled():
            gc.collect(0)
        return referrers(*objects)

    def numbers() -> Iterator[int]:
        try:
            yield 1
        except GeneratorExit:
            with in_flight.garbage_left_alone():
                left = in_flight.leaving(sys._getframe(1))
                found.append(left and left.error(travels=True))
            raise

    monkeypatch.setattr(gc, "get_referrers", while_others_run)
    with pytest.raises(KeyboardInterrupt):
        _interrupted(numbers, 5, within=_raise)

    assert [type(error) for error in found] == [KeyboardInterrupt]


def _interrupted(numbers: Callable[[], Iterator[int]], others: int, within: Callable[[], None] | None = None) -> None:
    for _ in numbers():
        gc.collect(0)
        _kept = [[] for _ in range(others)]  # type: ignore[var-annotated]
        if within is not None:
            within()
        raise KeyboardInterrupt


def _raise() -> None:
    raise KeyboardInterrupt
