"""Work kept between two suggestions of a study. It only saves work: without it they are the same, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memo:
    """The last answer to each question, with what it was asked about. One a study; threads may share it."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def recall(self, question: str, about: tuple[Any, ...], answer: Callable[[], T]) -> T:
        """The kept answer if the question was last asked `about` the same, else a new one, which is kept."""
        kept = self._kept.get(question)
        if kept is not None and kept[0] == about:
            found: T = kept[1]
            return found
        new = answer()
        self._kept[question] = (about, new)
        return new
