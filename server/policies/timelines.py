"""What a timeline comes to: which of its versions are in force, from which step on.

A rollback goes back to a checkpoint in which some version, its `base`, was in force: every version after that one is
undone by it, those before stay. So what is left is a list of changes with rising steps, which replay and resume make
again; and replay from the start gives the same weights.
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
    def base(self) -> int | None: ...
    @property
    def state(self) -> str: ...
    @property
    def from_step(self) -> int | None: ...


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
        base = back.base or 0
        undone = [e for e in entries if base < e.version < back.version and e.state == "applied"]
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


def in_force(entries: Iterable[Entry], upto: int | None = None) -> list[Entry]:
    """The applied entries, by version; as far as version `upto` if it is given."""
    return [e for e in entries if e.state == "applied" and (upto is None or e.version <= upto)]


def overrides(entries: Iterable[Entry], upto: int | None = None) -> dict[str, Any]:
    """The live parameters that the entries in force set: the head of the timeline."""
    found: dict[str, Any] = {}
    for entry in in_force(entries, upto):
        found |= entry.params
    return found


def schedule(entries: Iterable[Entry], after: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """(step, params) of the entries in force beyond version `after`: each counts from the step after its own."""
    return [(e.from_step or 0, e.params) for e in in_force(entries) if e.params and e.version > after]
