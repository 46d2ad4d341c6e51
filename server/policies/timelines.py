"""Which versions of a timeline are in force, and from which step on.

A rollback goes back to a checkpoint in which some version, its `base`, was in force: it reverts every later version,
and the earlier ones stay. So the versions in force are a list of changes with rising steps. Replay and resume make
them again in that order, and a replay from the start gives the same weights.

A checkpoint contains the changes that were made before its step, and none that was made later. For changes made at its
very step, which have not touched a weight yet, the checkpoint's version decides. The version alone is not enough: the
checkpoint may come from a run that makes changes again that were acknowledged long ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol


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


class Checkpoint(Protocol):
    """A checkpoint, as far as the rules look at it."""

    @property
    def step(self) -> int: ...
    @property
    def version(self) -> int: ...


@dataclass
class Settled:
    """The versions whose state changes when a run acknowledges one, by their new state."""

    applied: list[int] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    reverted: list[int] = field(default_factory=list)


def settle(entries: Sequence[Entry], version: int) -> Settled:
    """When a run acknowledges `version`, it has made all pending changes up to there at once.

    A change that a newer one overwrote was never in force: it is superseded. A rollback supersedes the pending changes
    before it, and reverts those in force that its checkpoint lacks. entries: all of the timeline, by version.
    """
    settled = Settled()
    waiting = [entry for entry in entries if entry.state == "pending" and entry.version <= version]
    back = next((entry for entry in reversed(waiting) if entry.verb == "rollback"), None)
    if back is not None:
        base, restore = back.base or 0, back.restore or 0
        undone = [e for e in in_force(entries) if e.version < back.version and (e.version > base or _at(e) > restore)]
        settled.reverted = [e.version for e in undone if e.params or e.verb == "rollback"]
        settled.superseded = [e.version for e in waiting if e.version < back.version]
        waiting = [e for e in waiting if e.version >= back.version]
    overwritten: set[str] = set()
    for entry in reversed(waiting):
        marks = _marks(entry)
        has_effect = marks - overwritten or entry.verb in NEVER_OVERWRITTEN
        (settled.applied if has_effect else settled.superseded).append(entry.version)
        overwritten |= marks
    settled.applied.sort()
    settled.superseded.sort()
    return settled


NEVER_OVERWRITTEN: Final = ("rollback", "checkpoint")
"""Verbs with an effect that no later version takes away: the run goes back, or writes a checkpoint."""

RUN_STATE: Final = " run"
"""What pause, resume and stop set, beside the parameters: the newest of them counts. No parameter has this name."""


def _marks(entry: Entry) -> set[str]:
    """What a version sets."""
    return set(entry.params) | ({RUN_STATE} if entry.verb in ("pause", "resume", "stop") else set())


def _at(entry: Entry) -> int:
    return entry.from_step or 0


def in_force(entries: Iterable[Entry], checkpoint: Checkpoint | None = None) -> list[Entry]:
    """The applied entries, by version; of a `checkpoint` those that it contains."""
    applied = [e for e in entries if e.state == "applied"]
    if checkpoint is None:
        return applied
    return [e for e in applied if e.version <= checkpoint.version and _at(e) <= checkpoint.step]


def version_in(entries: Iterable[Entry], step: int, version: int) -> int:
    """The newest version that a checkpoint at `step` can contain, of a run that acknowledged `version` or makes its
    changes again."""
    later = [e.version for e in in_force(entries) if (e.params or e.verb == "rollback") and _at(e) > step]
    return min([version, *(newer - 1 for newer in later)])


def overrides(entries: Iterable[Entry], checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """The live parameters that the entries in force set, now or in a `checkpoint`."""
    params: dict[str, Any] = {}
    for entry in in_force(entries, checkpoint):
        params |= entry.params
    return params


def schedule(entries: Iterable[Entry], since: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """(step, params) of the changes in force from step `since` on: each counts from the step after its own."""
    return [(_at(e), e.params) for e in in_force(entries) if e.params and _at(e) >= since]
