"""The curve of a stream whose worker died: each portion is in it once, as the newest run reports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.server.panda.manual_worker import ManualWorker, curve, lost
from tests.server.test_drift_policy import STREAM
from trainer.streams.stream import END
from worker.child.protocol import Job, Progress, SavedCheckpoint, desired_run_of
from worker.tasks import train

if TYPE_CHECKING:
    from sturgeon.messages import Lease
    from tests.running import RunningServer

PORTIONS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with six portions of a stream, and its end."""
    rng = np.random.default_rng(1)
    (tmp_path / "river").mkdir()
    for number in range(PORTIONS):
        y = rng.integers(0, 3, 60)
        np.savez(tmp_path / "river" / f"{number}.npz", X=rng.standard_normal((60, 4)) + y[:, None], y=y)
    (tmp_path / "river" / END).touch()
    return tmp_path


def run(folder: Path, lease: Lease, start: bytes | None) -> Iterator[Any]:
    """What a worker's child says of the lease."""
    task = dict(lease.task or {}) | {"dataset": "stream:river", "batch_size": 16, "checkpoints": {"every_epochs": 1}}
    desired, stored = desired_run_of(lease.desired), (start,) if start else ()
    job = Job(task, lease.params, 3, (folder,), desired=desired, resume=lease.resume, start=start, stored=stored)
    return (message for _, message in train.run([job], lambda _place: desired))


@pytest.mark.fault("L11")
@pytest.mark.parametrize("reached", [None, 0], ids=["at the step that was reached", "at once"])
def test_a_portion_is_listed_once_when_a_run_makes_a_change_and_trains_it_again(
    server: RunningServer, folder: Path, reached: int | None
) -> None:
    client = server.client
    client.create_study(STREAM | {"policies": []})
    [lease] = client.lease("ada", 1, 0).leases

    def report(said: Iterable[Any], lease: Lease) -> None:
        for one in said:
            if isinstance(one, Progress):
                row = {"step": one.step, "epoch": one.epoch, "metrics": one.metrics}
                client.report(lease.study, 0, lease.fence, [row])

    def listed() -> list[float | None]:
        return [point.metrics["portion"] for point in client.trial_metrics(lease.study, 0).items]

    said = list(run(folder, lease, None))
    at = next(one for one in said if isinstance(one, SavedCheckpoint) and one.epoch == 2)
    client.put_checkpoint(lease.study, 0, at.step, at.content, lease.fence, at.epoch)
    reported = [one for one in said if isinstance(one, Progress) and one.epoch < 5]
    report(reported, lease)
    assert listed() == [0, 1, 2, 3, 4]

    client.set_params(lease.study, 0, {"portion_epochs": 3}, "a portion takes more steps now")
    server.advance(seconds=31)
    server.expire_leases()
    [again] = client.lease("bob", 1, 0).leases
    assert again.resume is not None
    assert (again.resume.step, again.resume.reached) == (at.step, max(one.step for one in reported))
    assert listed() == [0, 1, 2, 3, 4], "what was reported counts until the new run reports"
    if reached is not None:
        again.resume.reached = reached
    report(run(folder, again, at.content), again)

    assert listed() == list(range(PORTIONS))
    steps = [point.step for point in client.trial_metrics(lease.study, 0).items]
    assert steps == sorted(set(steps))


@pytest.mark.fault("L11")
def test_reports_of_a_run_count_up_to_the_step_at_which_the_next_run_began(
    server: RunningServer, trained: ManualWorker
) -> None:
    assert curve(trained) == [(10, 0), (20, 0), (30, 0), (40, 0), (50, 0), (60, 0)]

    resume = lost(server, trained)
    trained.version, trained.step = 2, 50
    trained.report(8, 0.1)

    assert resume.step == 40
    assert curve(trained) == [(10, 0), (20, 0), (30, 0), (40, 0), (80, 0)]
