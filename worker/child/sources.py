"""What trials start from, fetched for the child: the best checkpoint of another trial, or their own earlier ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sturgeon.client import Client
from sturgeon.errors import NotFound, Problem
from sturgeon.messages import OWN_KINDS
from worker.child.protocol import Job
from worker.patience import insist


class NoSource(Exception):
    """The trial cannot start; one sentence says why."""


class CheckpointLost(Exception):
    """A trial's own checkpoint, which the server has named, is gone; one sentence says which."""


def source_of(client: Client, task: Mapping[str, Any], sleep: Callable[[float], None]) -> bytes | None:
    """The best checkpoint of the trial that `start_from` names as STUDY/NUMBER; None where the task names none.

    Waits for a server that is away, in `sleep`, which may raise to end that.

    Raises: NoSource.
    """
    named = task.get("start_from")
    if named is None:
        return None
    study, _, number = str(named).rpartition("/")
    if not (study and number.isdecimal() and number.isascii()):
        raise NoSource(f"start_from names a trial as STUDY/NUMBER, for example digits/3; {named!r} is none.")
    patient = client.with_patience(math.inf, sleep)
    try:
        return insist(lambda: patient.checkpoint(study, int(number), "best", task.get("start_from_study")), sleep)
    except NotFound as error:
        raise NoSource(f"There is no checkpoint of {named} to start from: {error.message}") from None
    except Problem as error:
        raise NoSource(f"The checkpoint of {named} could not be read: {error.message}") from None


def prepared(client: Client, jobs: Sequence[Job], sleep: Callable[[float], None]) -> list[Job]:
    """The jobs of a child, with the checkpoints that they start from. Waits as `source_of` does.

    Raises: NoSource, CheckpointLost.
    """
    is_own = jobs[0].task.get("kind") in OWN_KINDS
    source = None if is_own else source_of(client, {**jobs[0].task, **jobs[0].params}, sleep)
    return [_resumed(client, replace(job, source=source), sleep) for job in jobs]


def _resumed(client: Client, job: Job, sleep: Callable[[float], None]) -> Job:
    """A job with the checkpoint that it goes on from, and those that its earlier runs had stored before that step."""
    resume = job.resume
    if resume is None or resume.sha256 is None:
        return job
    patient = client.with_patience(math.inf, sleep)
    start = stored_checkpoint(patient, job.study, resume.number, resume.step, sleep)
    if job.task.get("kind") in OWN_KINDS:  # what is the best so far is in the checkpoint
        return replace(job, start=start)
    listed = insist(lambda: patient.checkpoints(job.study, job.number), sleep).items
    steps = [checkpoint.step for checkpoint in listed if checkpoint.step < resume.step and not checkpoint.lost]
    earlier = []
    for step in steps:  # these tell which is the best so far; a run can go on without
        with suppress(CheckpointLost):
            earlier.append(stored_checkpoint(patient, job.study, job.number, step, sleep))
    return replace(job, start=start, stored=(*earlier, start))


def stored_checkpoint(patient: Client, study: str, number: int, step: int, sleep: Callable[[float], None]) -> bytes:
    """The checkpoint of a trial at a step. Waits for a server that is away, in `sleep`.

    Raises: NoSource, CheckpointLost.
    """
    try:
        return insist(lambda: patient.checkpoint(study, number, step), sleep)
    except NotFound as error:
        raise CheckpointLost(f"The checkpoint of trial {number} at step {step} is lost: {error.message}") from None
    except Problem as error:
        raise NoSource(f"The checkpoint of trial {number} at step {step} could not be read: {error.message}") from None
