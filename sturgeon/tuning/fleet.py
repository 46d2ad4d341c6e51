"""Trials that workers run, on this machine and on others: their task, and the wait for their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from sturgeon.objective import name_of
from sturgeon.tuning.heartbeat import log
from sturgeon.tuning.processes import ObjectiveFailed, is_importable

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0


class Run(Protocol):
    """The study that workers run."""

    name: str
    metric: str

    @property
    def client(self) -> Client: ...

    @property
    def info(self) -> m.Study: ...

    @property
    def best(self) -> m.BestTrial | None: ...

    @property
    def trials(self) -> list[m.Trial]: ...


def call_of(objective: Callable[..., object] | str) -> str:
    """How workers are told of the function: "module:function". Raises: SturgeonError (no worker could import it)."""
    if isinstance(objective, str):
        return objective
    if not is_importable(objective):
        raise SturgeonError(
            f"Workers cannot import {name_of(objective)}: move it to the top of a module of its own, and give them "
            '"module:function".'
        )
    return f"{objective.__module__}:{objective.__qualname__}"


def optimize(study: Run, call: str) -> None:
    """Give the study to workers, and wait until they have run it.

    Raises: WrongState (the study has another task), Contradiction (the task cannot be), ObjectiveFailed (all trials
    have failed; it quotes the last).
    """
    task = study.info.task
    if not (isinstance(task, m.PythonTask) and task.call == call):
        study.client.patch_study(study.name, {"task": {"kind": "python", "call": call}})
    wait(study)
    if study.best is None and (failed := [trial for trial in study.trials if trial.state == "failed"]):
        raise ObjectiveFailed(f"All {len(failed)} trials of {study.name} have failed; the last: {failed[-1].error}")


def wait(study: Run) -> m.Study:
    """Wait until the study has ended; the study as it is then. The log of `sturgeon` tells how far it is, and warns
    where no worker can run it."""
    told: object = None
    warned: str | None = None
    for info in _until_ended(study):
        ended = sum(info.counts.get(state, 0) for state in ("complete", "pruned", "diverged", "failed"))
        if ended != told:
            told, best = ended, study.best
            score = "" if best is None else f", the best {study.metric} is {best.value:.6g}"
            log.info("%s: %d of %d trials have ended%s.", study.name, ended, info.budget.max_trials, score)
        if info.waits_for is not None and info.waits_for != warned:
            warned = info.waits_for
            log.warning("%s waits for a worker. %s", study.name, warned)
    return info


def _until_ended(study: Run) -> Iterator[m.Study]:
    """The study again and again, until it has ended."""
    pause = FIRST_WAIT_S
    while True:
        info = study.info
        yield info
        if info.state not in ("active", "paused"):
            return
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_WAIT_S)
