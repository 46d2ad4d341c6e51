"""The task `command`: a program of the user's, with the parameters in its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sturgeon.placeholders import filled
from worker.child.protocol import DesiredRun, Job, PlacedMessage
from worker.own import allowed
from worker.own.arguments import values_for
from worker.own.run import Start, run_alone


def run(
    jobs: Sequence[Job], desired: Callable[[int], DesiredRun], _news: Callable[[], bool] = lambda: False
) -> Iterator[PlacedMessage]:
    """Runs the program of a trial; yields what it has to say, at last its last word, with its place in `jobs`."""
    return run_alone(jobs, _Command, desired)


class _Command:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._argv: list[str] = list(job.task["argv"])

    def __call__(self, start: Start) -> list[str]:
        """Raises: NotHere."""
        job = self._job
        values = values_for(job, start.environment) | dict(start.params)
        return allowed.program(filled(self._argv, values), job.own, start.cwd, job.own.environment)
