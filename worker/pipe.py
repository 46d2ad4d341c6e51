"""What the daemon and a trial's child process say to each other over their pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sturgeon.messages import FindingKind, Resume
from sturgeon.states import ToldState


@dataclass(frozen=True)
class Steer:
    """Daemon to child: what is desired of a trial, by `version`.

    params: all live parameters that differ from those it began with. stop: end with this epoch. pause: leave a
    checkpoint and end here. keep: the newest version before which a checkpoint is to be kept. A run of an earlier
    `leg` goes back to step `restore`, whose checkpoint is `content` (None at step 0 of a run without a parent: from the
    start). leave: nobody waits for this trial any more, its stack mates go on. answered: the newest step whose report
    the server has answered, where the run waits for that.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    stop: bool = False
    pruned: bool = False
    leave: bool = False
    pause: bool = False
    keep: int = 0
    leg: int = 0
    restore: int = 0
    content: bytes | None = field(default=None, repr=False)
    answered: int = -1


@dataclass(frozen=True)
class Job:
    """A leased trial, as the child needs it. `task` has the study's fixed fields; `params` win over them.

    source: the checkpoint that it starts from, where its task says so. resume: where an earlier run of it, or of its
    parent, ended, with that `start` and the checkpoints that it had `kept`. desired: as it was at the hand-out.
    """

    task: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int
    data_dirs: tuple[Path, ...] = ()
    source: bytes | None = field(default=None, repr=False)
    study: str = ""
    number: int = 0
    desired: Steer = Steer()
    resume: Resume | None = None
    start: bytes | None = field(default=None, repr=False)
    kept: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Origins:
    """Child to daemon, at start-up: the file of `trainer`, and whether it was loaded before the fork."""

    trainer: str | None
    loaded: bool


@dataclass(frozen=True)
class Progress:
    """Child to daemon: an epoch has ended. The desired `version` has been in force since `since_step`."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    version: int = 0
    since_step: int = 0


@dataclass(frozen=True)
class Applied:
    """Child to daemon: the desired `version` counts from the step after `step` on."""

    version: int
    step: int


@dataclass(frozen=True)
class Happened:
    """Child to daemon: an event of the run, to be told once; `key` knows it again. `detail` as in `RunEvent`."""

    kind: str
    key: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Child to daemon: what a run that goes on has found out so far, JSON objects by kind."""

    findings: Mapping[FindingKind, Mapping[str, Any]]


@dataclass(frozen=True)
class SavedCheckpoint:
    """One npz file, and child to daemon: keep it while the run goes on. `value` is the study's metric at that step,
    None where it was not measured. `version` was in force; `wanted` asked for this checkpoint, or is 0."""

    step: int
    epoch: int
    value: float | None
    content: bytes = field(repr=False)
    version: int = 0
    wanted: int = 0


@dataclass(frozen=True)
class Paused:
    """Child to daemon, and the last word on a trial: it left its checkpoint and waits."""

    step: int


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
    """The last word on a trial whose stack broke, or that has to leave it: it shall run again by itself."""

    reason: str


LastWord = End | Paused | Alone
Said = Progress | Applied | Happened | Found | SavedCheckpoint | LastWord
Placed = tuple[int, Said]
"""What a child says of one of its trials, by its place in the child's jobs."""
