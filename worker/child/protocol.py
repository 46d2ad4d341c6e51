"""What the daemon and a trial's child process say to each other over their pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sturgeon.messages import Desired, FindingKind, Looks, Resume
from sturgeon.states import ToldState
from sturgeon.values import Json

# --- daemon to child


@dataclass(frozen=True)
class DesiredRun:
    """What is desired of a trial, by `version`.

    params: all live parameters that differ from those the trial began with. stop: end with this epoch. pause: leave a
    checkpoint and end here. keep: the newest version before which a checkpoint is to be kept. A run of an earlier
    `rollback_generation` goes back to step `restore`, whose checkpoint is `content` (None at step 0 of a run without a
    parent: from the start). leave: nobody waits for this trial any more, its stack peers go on. answered: the `number`
    of the newest report that the server has answered; None where the run need not wait for answers. looked: that of the
    newest answered one at which a pruning rule looked, or a later one. drain: the worker
    ends, so a program shall leave a checkpoint and end here, as if it was to pause.
    """

    params: Json = field(default_factory=dict)
    version: int = 0
    stop: bool = False
    pruned: bool = False
    leave: bool = False
    pause: bool = False
    keep: int = 0
    rollback_generation: int = 0
    restore: int = 0
    content: bytes | None = field(default=None, repr=False)
    answered: int | None = None
    looked: int = 0
    drain: bool = False


def desired_run_of(desired: Desired) -> DesiredRun:
    """What the server desires, as a child is told it; without the checkpoint to go back to."""
    return DesiredRun(
        desired.params,
        desired.version,
        stop=desired.run == "stop",
        pruned=desired.why == "pruned",
        pause=desired.run == "pause",
        keep=desired.checkpoint,
        rollback_generation=desired.leg,
        restore=desired.restore or 0,
    )


@dataclass(frozen=True)
class OwnCodeRules:
    """What a worker's owner lets users' programs do and have.

    commands: patterns of programs; modules: of Python modules. python: the interpreter, if one was named. environment:
    what of the worker's own reaches them. folder: where they run, if their task names none. slots: how many run at a
    time.
    """

    commands: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    python: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    slots: int = 1


@dataclass(frozen=True)
class Job:
    """A leased trial, as the child needs it. `task` has the study's fixed fields; `params` win over them.

    source: the checkpoint that it starts from, where its task says so. resume: where an earlier run of it, or of its
    parent, ended, with that `start` and the checkpoints that it had `stored`. desired: as it was at the hand-out.
    looks: where a pruning rule looks at it. gpus: the devices that are its own, for CUDA_VISIBLE_DEVICES; none where it
    is empty, and None where the worker manages none. own: what users' programs may do and have.
    """

    task: Json
    params: Mapping[str, object]
    seed: int
    data_dirs: tuple[Path, ...] = ()
    source: bytes | None = field(default=None, repr=False)
    study: str = ""
    number: int = 0
    desired: DesiredRun = DesiredRun()
    resume: Resume | None = None
    start: bytes | None = field(default=None, repr=False)
    stored: tuple[bytes, ...] = field(default=(), repr=False)
    own: OwnCodeRules = OwnCodeRules()
    gpus: tuple[str, ...] | None = None
    looks: Looks | None = None


# --- child to daemon


@dataclass(frozen=True)
class Origins:
    """At start-up: the file of `trainer`, and whether it was loaded before the fork."""

    trainer: str | None
    loaded: bool


@dataclass(frozen=True)
class Progress:
    """An epoch has ended. The desired `version` has been in force since `since_step`. number: the how manyth report of
    the run this is. looked: a pruning rule looks at it, so its answer may stop the run."""

    step: int
    epoch: float | None
    metrics: Mapping[str, float]
    version: int = 0
    since_step: int = 0
    number: int = 0
    looked: bool = False


@dataclass(frozen=True)
class Applied:
    """The desired `version` counts from the step after `step` on."""

    version: int
    step: int


@dataclass(frozen=True)
class RunEventMessage:
    """An event of the run, to be reported once; `key` knows it again. `detail` as in `RunEvent`."""

    kind: str
    key: str
    detail: Mapping[str, object]


@dataclass(frozen=True)
class FindingsMessage:
    """What a run that goes on has found out so far, JSON objects by kind."""

    findings: Mapping[FindingKind, Mapping[str, object]]


@dataclass(frozen=True)
class LogMessage:
    """What the run has printed so far, shortened to what is kept; a newer one replaces an older."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class SavedCheckpoint:
    """One file, an npz or a packed folder, to be uploaded while the run goes on. `value` is the study's metric at that
    step, None where it was not measured. `version` was in force; `wanted` is the version that asked for this
    checkpoint, or 0. The daemon keeps the content, of `size` bytes, in a `file` while it waits for the server."""

    step: int
    epoch: float | None
    value: float | None
    content: bytes = field(repr=False)
    version: int = 0
    wanted: int = 0
    file: Path | None = None
    size: int = 0

    def read(self) -> bytes:
        """The file. Raises: OSError."""
        return self.content if self.file is None else self.file.read_bytes()

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.size or len(self.content)


@dataclass(frozen=True)
class Paused:
    """The last word on a trial: it left its checkpoint and waits."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The last word on a trial: what to tell the server. `metrics` are those of `step`; `findings` are JSON objects by
    kind. retry: False where a trial that failed would fail again."""

    state: ToldState
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    where: str | None = None
    error: str | None = None
    checkpoints: tuple[SavedCheckpoint, ...] = ()
    findings: Mapping[FindingKind, Mapping[str, object]] = field(default_factory=dict)
    retry: bool = True


@dataclass(frozen=True)
class LeaveStack:
    """The last word on a trial whose stack broke, or that has to leave it: it shall run again by itself."""

    reason: str


@dataclass(frozen=True)
class Unable:
    """The last word on a trial that this worker cannot run, as it can none of the study: data, a module or a permission
    is missing here. The trial is given back, and another worker gets it."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """The child's last word: an error that no trial of it survived."""

    reason: str


# --- in the child's place


@dataclass(frozen=True)
class NotStarted:
    """The last word on a trial whose process the system refused to start."""

    reason: str


@dataclass(frozen=True)
class BeginningLost:
    """The last word on a trial whose checkpoint to begin with is gone: the server knows a whole one."""

    reason: str


@dataclass(frozen=True)
class WorkerEnded:
    """The last word on a trial whose worker ended before it had one."""


LastWord = Finished | Paused | LeaveStack | Unable | NotStarted | BeginningLost | WorkerEnded
ChildMessage = Progress | Applied | RunEventMessage | FindingsMessage | LogMessage | SavedCheckpoint | LastWord
PlacedMessage = tuple[int, ChildMessage]
"""What a child says of one of its trials, by its place in the child's jobs."""
