"""What a timeline comes to: which of its versions are in force, from which step on.

A rollback goes back to a checkpoint in which some version, its `base`, was in force: every version after that one is
undone by it, those before stay. So what is left is a list of changes with rising steps, which replay and resume make
again; and replay from the start gives the same weights.

Which changes a checkpoint has in it follows from its step: those that were made before it, and none that was made
later. Only of changes at its very step its version says which of them it counts as its own; none of those has touched a
weight yet. Who uploads it may be a run that makes acknowledged changes again: the newest version is no guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class Entry(Protocol):
    """A version of the desired state of a trial, as far as the rules look at it."""

    @property
    def version(self) -> int: ...
    @property
    def verb(self) -> str: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def restore(self) -> int | None: ...
    @property
    def base(self) -> int | None: ...
    @property
    def state(self) -> str: ...
    @property
    def from_step(self) -> int | None: ...


class Kept(Protocol):
    """A checkpoint, as far as the rules look at it."""

    @property
    def step(self) -> int: ...
    @property
    def version(self) -> int: ...


@dataclass
class Settled:
    """What becomes of versions when one of them is applied."""

    applied: list[int] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    reverted: list[int] = field(default_factory=list)


def settle(entries: Sequence[Entry], version: int) -> Settled:
    """A run has come to `version`: it made all changes up to there at once.

    Of changes that a later one hides nothing was ever in force: those are superseded. entries: all, by version.
    """
    found = Settled()
    waiting = [entry for entry in entries if entry.state == "pending" and entry.version <= version]
    back = next((entry for entry in reversed(waiting) if entry.verb == "rollback"), None)
    if back is not None:
        base, restore = back.base or 0, back.restore or 0
        undone = [e for e in in_force(entries) if e.version < back.version and (e.version > base or _at(e) > restore)]
        found.reverted = [e.version for e in undone if e.params or e.verb == "rollback"]
        found.superseded = [e.version for e in waiting if e.version < back.version]
        waiting = [e for e in waiting if e.version >= back.version]
    hidden: set[str] = set()
    for entry in reversed(waiting):
        marks = _marks(entry)
        (found.applied if marks - hidden or entry.verb in ALWAYS else found.superseded).append(entry.version)
        hidden |= marks
    found.applied.sort()
    found.superseded.sort()
    return found


ALWAYS = ("rollback", "checkpoint")
"""Verbs that nothing later hides: a run goes back, or leaves a checkpoint."""

WISH = " run"
"""Pause, resume and stop are about one thing: what was wished for last counts."""


def _marks(entry: Entry) -> set[str]:
    return set(entry.params) | ({WISH} if entry.verb in ("pause", "resume", "stop") else set())


def _at(entry: Entry) -> int:
    return entry.from_step or 0


def in_force(entries: Iterable[Entry], kept: Kept | None = None) -> list[Entry]:
    """The applied entries, by version; those that a checkpoint has in it, if one is given."""
    applied = [e for e in entries if e.state == "applied"]
    return applied if kept is None else [e for e in applied if e.version <= kept.version and _at(e) <= kept.step]


def version_in(entries: Iterable[Entry], step: int, version: int) -> int:
    """The newest version that a checkpoint of a step can have in it, of a run that has come to `version` or makes it
    again."""
    later = [e.version for e in in_force(entries) if (e.params or e.verb == "rollback") and _at(e) > step]
    return min([version, *(one - 1 for one in later)])


def overrides(entries: Iterable[Entry], kept: Kept | None = None) -> dict[str, Any]:
    """The live parameters that the entries in force set: the head of the timeline, or what it was in a checkpoint."""
    found: dict[str, Any] = {}
    for entry in in_force(entries, kept):
        found |= entry.params
    return found


def schedule(entries: Iterable[Entry], since: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """(step, params) of the entries in force from step `since` on: each counts from the step after its own."""
    return [(_at(e), e.params) for e in in_force(entries) if e.params and _at(e) >= since]
