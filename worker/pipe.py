"""What the daemon and a trial's child process say to each other over their pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sturgeon.states import ToldState


@dataclass(frozen=True)
class Job:
    """A leased trial, as the child needs it. `task` has the study's fixed fields; `params` win over them."""

    task: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int
    data_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Origins:
    """Child to daemon, at start-up: the file of `trainer`, and whether it was loaded before the fork."""

    trainer: str | None
    loaded: bool


@dataclass(frozen=True)
class Steer:
    """Daemon to child: live parameters for the next steps, and whether to end with this epoch."""

    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0
    stop: bool = False
    pruned: bool = False


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
    """Child to daemon, and the last word: what to tell. `metrics` are those of `step`."""

    state: ToldState
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    where: str | None = None
    error: str | None = None
    checkpoints: tuple[SavedCheckpoint, ...] = ()
