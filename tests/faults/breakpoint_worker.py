"""A worker whose trial stops amid a portion, as at a breakpoint: `python -m tests.faults.breakpoint_worker worker ...`
for `sturgeon worker ...`.

BREAKPOINT=PORTION:BATCH:FILE in its environment says where: after that batch of that portion (from 0) a checkpoint is
due, and the step after it waits until the file is there. So a test breaks in there, however fast the machine is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from trainer.training import Progress
from worker.child import main
from worker.child.protocol import Job
from worker.tasks import stream
from worker.tasks.keeping import CheckpointKeeper

RUN_CHILD = main.run_child  # a child that is forked from this worker has the one below in its place


def run_child(pipe: Connection, jobs: Sequence[Job]) -> None:
    """What runs in the child process, instead of `worker.child.main.run_child`."""
    setattr(stream, "PULSE_S", 1e-9)  # noqa: B010  it listens after every step
    setattr(CheckpointKeeper, "_is_due", _is_due)  # noqa: B010
    RUN_CHILD(pipe, jobs)


def _is_due(_keeper: CheckpointKeeper, trained: Progress, _now: float) -> bool:
    portion, batch, file = os.environ["BREAKPOINT"].split(":")
    done = trained.checkpoint().position
    if trained.epoch != int(portion) or trained.waiting or done < int(batch):
        return False
    while done > int(batch) and not Path(file).exists():
        time.sleep(0.01)
    return done == int(batch)


if __name__ == "__main__":
    from sturgeon.cli.app import main as sturgeon
    from tests.faults import breakpoint_worker

    setattr(main, "run_child", breakpoint_worker.run_child)  # noqa: B010  the forked children find it by this name
    sturgeon()
