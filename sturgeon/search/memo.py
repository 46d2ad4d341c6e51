"""Work remembered between two suggestions of a study: it changes no bit of them, and only saves time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import is_
from typing import TypeVar, cast

from sturgeon.search.cube import Cube
from sturgeon.space import Space

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


def cube_of(space: Space, memo: Memo) -> Cube:
    """The cube of `space`, from `memo` if it is that of the same parameters in the same order."""

    def cube() -> Cube:
        return memo.recall("cube", (space.identity(),), lambda: Cube(space))

    return memo.recall("cube of parts", (_Parts(space),), cube)


class _Parts:
    """What a space is made of. Parameters are frozen, so spaces of the same ones in the same order are equal: that is
    seen much faster than by their identities."""

    def __init__(self, space: Space) -> None:
        self._names, self._parts = tuple(space.root), (*space.root.values(), *space.constraints)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Parts)
            and self._names == other._names
            and len(self._parts) == len(other._parts)
            and all(map(is_, self._parts, other._parts))
        )

    def __hash__(self) -> int:
        return hash(self._names)
