"""What a worker can be told, and what follows from it: the programs, kinds of task and resources that it has."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sturgeon.logs import LogFormat, LogLevel
from sturgeon.messages import TaskKind
from worker.child.main import OURS, kinds_here
from worker.child.protocol import OwnCodeRules
from worker.own.environment import passed_on
from worker.resources import Resources, chosen_gpus, gpus_here, memory_gb_here


@dataclass(frozen=True)
class WorkerOptions:
    """What `sturgeon worker` can be told.

    server: its address; token: its shared token, if it has one. slots: trials at a time, or stacks of up to `stack`
    trials of one shape. data_dirs: folders that npz:, csv: and stream: data come from. name: by default host, process
    and a random part. poll_s: how long one request for work waits at the server (0 .. 30). drain_s: how long running
    trials may go on after SIGTERM. labels, gpus, memory_gb: what studies may need; by default no label, the GPUs and
    the memory that are found here. spool: the folder for what waits for the server; None keeps it in memory. spool_mb:
    what its checkpoints may take, in megabytes. alive_file: a file that is touched with each heartbeat. allow_command,
    allow_python: patterns of the programs and Python modules of users that studies may run here. python: the
    interpreter for them. pass_env: variables of the worker's environment that they may see, beside those that every
    program needs. studies: those that the worker is for; by default all. log_level, log_format: see `sturgeon.logs`.
    """

    server: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    slots: int = 1
    stack: int = 1
    data_dirs: tuple[Path, ...] = ()
    name: str | None = None
    poll_s: float = 30.0
    drain_s: float = 20.0
    labels: tuple[str, ...] = ()
    gpus: int | None = None
    memory_gb: float | None = None
    spool: Path | None = None
    spool_mb: float = 4000.0
    alive_file: Path | None = None
    allow_command: tuple[str, ...] = ()
    allow_python: tuple[str, ...] = ()
    python: str | None = None
    pass_env: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    log_level: LogLevel = "info"
    log_format: LogFormat | None = None


def own_code_rules(options: WorkerOptions) -> OwnCodeRules:
    """What users' programs may do on this worker; the environment and the folder are those of this process."""
    return OwnCodeRules(
        options.allow_command,
        options.allow_python,
        options.python,
        passed_on(os.environ, options.pass_env, str(OURS)),
        Path.cwd(),
        options.slots * options.stack,
    )


def allowed_kinds(options: WorkerOptions) -> list[TaskKind]:
    """The kinds of task that this worker runs: users' own only where its owner allows some."""
    allowed: dict[TaskKind, bool] = {"command": bool(options.allow_command), "python": bool(options.allow_python)}
    return [kind for kind in kinds_here() if allowed.get(kind, True)]


def resources_of(options: WorkerOptions) -> Resources:
    """What the worker has for its trials beside slots."""
    gpus = chosen_gpus(options.gpus, gpus_here(os.environ))
    memory_gb = memory_gb_here() if options.memory_gb is None else options.memory_gb
    return Resources(allowed_kinds(options), gpus, memory_gb, options.labels)
