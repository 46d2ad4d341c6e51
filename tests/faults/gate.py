"""A worker whose trial stands still amid a portion: `python -m tests.faults.gate worker ...` for `sturgeon worker ...`.

GATE=PORTION:BATCH:FILE in its environment says where: after that batch of that portion (from 0) a checkpoint is due,
and the step after it waits until the file is there. So a test breaks in there, however fast the machine is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from trainer.training import Progress
from worker import child
from worker.pipe import Job
from worker.tasks import stream
from worker.tasks.keeping import Kept


def main(pipe: Connection, jobs: Sequence[Job]) -> None:
    """What runs in the child process, instead of `worker.child.main`."""
    setattr(stream, "PULSE_S", 1e-9)  # noqa: B010  it listens after every step
    setattr(Kept, "_is_due", _is_due)  # noqa: B010
    child.main(pipe, jobs)


def _is_due(_kept: Kept, trained: Progress, _now: float) -> bool:
    portion, batch, file = os.environ["GATE"].split(":")
    done = trained.checkpoint().position
    if trained.epoch != int(portion) or trained.waiting or done < int(batch):
        return False
    while done > int(batch) and not Path(file).exists():
        time.sleep(0.01)
    return done == int(batch)


if __name__ == "__main__":
    from sturgeon.cli.app import main as sturgeon
    from tests.faults import gate

    setattr(child, "main", gate.main)  # noqa: B010  the forked children find it by this name
    sturgeon()
