"""A worker whose runs rest after each step: `python -m tests.worker.paced worker ...` for `sturgeon worker ...`.

PACE_S in its environment says how long. For a run that shall go on until a test steers, kills or stops it: its length
is a matter of time on every machine, it takes the processor from nobody, and its few steps are soon trained again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from worker.child import main as child
from worker.tasks import train

ROOT = Path(__file__).parents[2]
RUN_CHILD = child.run_child  # a child that is forked from this worker has `main` in its place


def paced(step_s: float) -> dict[str, Any]:
    """The options of `worker_process` that make it such a worker."""
    return {"program": (sys.executable, "-m", "tests.worker.paced"), "PYTHONPATH": str(ROOT), "PACE_S": str(step_s)}


def main(pipe: Connection, jobs: Sequence[Any]) -> None:
    """What runs in the child process, instead of `worker.child.main.run_child`."""
    child.TASKS["train"] = "tests.worker.paced"
    RUN_CHILD(pipe, jobs)


def run(jobs: Sequence[Any], desired: Callable[[int], Any], news: Callable[[], bool]) -> Iterator[Any]:
    """The task `train`, with a rest whenever it asks for news: after each step."""
    pace_s = float(os.environ["PACE_S"])

    def rested_news() -> bool:
        time.sleep(pace_s)
        return news()

    return train.run(jobs, desired, rested_news)


if __name__ == "__main__":
    from sturgeon.cli.app import main as sturgeon
    from tests.worker import paced as itself

    setattr(child, "run_child", itself.main)  # noqa: B010  the forked children find it by this name
    sturgeon()
