"""Work remembered between two suggestions of a study: it changes no bit of them, and only saves time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Memo:
    """The last answer to each question, with what it was asked about. One a study; threads may share it.

    What a question is asked about is compared with `==`, so a space stands there by its `identity()`.
    """

    def __init__(self) -> None:
        self._stored: dict[str, tuple[tuple[Hashable, ...], object]] = {}

    def recall(self, question: str, about: tuple[Hashable, ...], answer: Callable[[], T]) -> T:
        """The stored answer if the question was last asked `about` the same, else a new one, which is stored."""
        stored = self._stored.get(question)
        if stored is not None and stored[0] == about:
            return cast("T", stored[1])
        new = answer()
        self._stored[question] = (about, new)
        return new

    def grown(self, question: str, about: tuple[Hashable, ...], nothing: T, grow: Callable[[T], T]) -> T:
        """The answer made by `grow` from the last one to the same question `about` the same, else from `nothing`."""
        stored = self._stored.get(question)
        new = grow(cast("T", stored[1]) if stored is not None and stored[0] == about else nothing)
        self._stored[question] = (about, new)
        return new
