"""The task `command`: a program of the user's, with the parameters in its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sturgeon.placeholders import filled
from worker.child.protocol import DesiredRun, Job, LeaveStack, PlacedMessage
from worker.own import allowed
from worker.own.arguments import values_for
from worker.own.run import Start, run_program


def run(
    jobs: Sequence[Job], desired: Callable[[int], DesiredRun], _news: Callable[[], bool] = lambda: False
) -> Iterator[PlacedMessage]:
    """Runs the program of a trial; yields what it has to say, at last its last word, with its place in `jobs`."""
    if len(jobs) > 1:  # each has a process of its own
        yield from ((place, LeaveStack("It runs a program of its own.")) for place in range(len(jobs)))
        return
    command = _Command(jobs[0])
    yield from ((0, message) for message in run_program(jobs[0], command, lambda: desired(0)))


class _Command:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._argv: list[str] = list(job.task["argv"])

    def __call__(self, start: Start) -> list[str]:
        """Raises: NotHere."""
        job = self._job
        values = values_for(job, start.environment) | dict(start.params)
        return allowed.program(filled(self._argv, values), job.own, start.cwd, job.own.environment)
