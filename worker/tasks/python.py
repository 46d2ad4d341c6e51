"""The task `python`: a function of the user's, called by his own interpreter in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sturgeon import objective, trial_process
from worker.child.protocol import DesiredRun, Job, PlacedMessage
from worker.own import allowed
from worker.own.run import Start, run_alone

FILES: Final = (trial_process.__file__, objective.__file__)
"""What the interpreter is given of ours, as copies: beside them is nothing else that it could import."""


def run(
    jobs: Sequence[Job], desired: Callable[[int], DesiredRun], _news: Callable[[], bool] = lambda: False
) -> Iterator[PlacedMessage]:
    """Calls the function for a trial; yields what it has to say, at last its last word, with its place in `jobs`."""
    return run_alone(jobs, _Call, desired)


class _Call:
    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, start: Start) -> list[str]:
        """Raises: NotHere."""
        call: str = self._job.task["call"]
        path = allowed.interpreter(call, self._job.own)
        ours = start.place / "code"
        ours.mkdir(exist_ok=True)
        for file in FILES:
            shutil.copy(str(file), ours)
        return [path, str(ours / "trial_process.py"), "call", call, str(self._job.task.get("metric", "loss"))]
