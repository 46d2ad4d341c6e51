"""Pandas in the states that the fixtures are named by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.panda.manual_worker import GUARD, ManualWorker

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def worker(server: RunningServer) -> ManualWorker:
    """A panda in its first epoch."""
    return ManualWorker(server)


@pytest.fixture
def trained(worker: ManualWorker) -> ManualWorker:
    """A panda at step 55: checkpoints at 20 and 40, l2 changed at 30 and the learning rate at 50."""
    for epoch, error in ((1, 0.5), (2, 0.4)):
        worker.report(epoch, error)
    worker.upload(20, 0.4)
    worker.client.set_params("bear", 0, {"l2": 0.1})
    worker.apply(1, 30)
    for epoch, error in ((3, 0.3), (4, 0.2)):
        worker.report(epoch, error)
    worker.upload(40, 0.2)
    worker.client.set_params("bear", 0, {"learning_rate": 0.5})
    worker.apply(2, 50)
    for epoch, error in ((5, 0.25), (6, 0.6)):
        worker.report(epoch, error)
    return worker


@pytest.fixture
def guarded(worker: ManualWorker) -> ManualWorker:
    """A panda whose guarded change counts from step 20 on, where dev_error was 0.4."""
    worker.report(2, 0.4)
    worker.client.set_params("bear", 0, {"learning_rate": 1.0}, guard=GUARD)
    worker.upload(20, 0.4, version=0, wanted=1)
    worker.apply(1, 20)
    return worker
