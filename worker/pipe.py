"""What the daemon and a trial's child process say to each other over their pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sturgeon.messages import FindingKind
from sturgeon.states import ToldState


@dataclass(frozen=True)
class Job:
    """A leased trial, as the child needs it. `task` has the study's fixed fields; `params` win over them. `source` is
    the checkpoint that it starts from, where its task says so."""

    task: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int
    data_dirs: tuple[Path, ...] = ()
    source: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Origins:
    """Child to daemon, at start-up: the file of `trainer`, and whether it was loaded before the fork."""

    trainer: str | None
    loaded: bool


@dataclass(frozen=True)
class Steer:
    """Daemon to child: live parameters for the next steps, and whether to end with this epoch; `leave`: nobody waits
    for this trial any more, its stack mates go on."""

    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    stop: bool = False
    pruned: bool = False
    leave: bool = False


@dataclass(frozen=True)
class Progress:
    """Child to daemon: an epoch has ended. The desired `version` has been in force since `since_step`."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    version: int = 0
    since_step: int = 0


@dataclass(frozen=True)
class SavedCheckpoint:
    """One npz file; `value` is dev_error at that step, None without a dev part."""

    step: int
    epoch: int
    value: float | None
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class End:
    """Child to daemon, and the last word on a trial: what to tell. `metrics` are those of `step`; `findings` are JSON
    objects by kind."""

    state: ToldState
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    where: str | None = None
    error: str | None = None
    checkpoints: tuple[SavedCheckpoint, ...] = ()
    findings: Mapping[FindingKind, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """Child to daemon, and its last word: an error that no trial of it survived."""

    reason: str


@dataclass(frozen=True)
class Alone:
    """The last word on a trial whose stack broke: it shall run again by itself."""

    reason: str


Placed = tuple[int, Progress | End]
"""What a child says of one of its trials, by its place in the child's jobs."""
