"""A worker by hand, and the panda that it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sturgeon.messages import Lease

if TYPE_CHECKING:
    from tests.running import RunningServer

PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.1, "keep_prob": 0.9},
    "search": {"seed": 1},
    "budget": {"max_trials": 20},
    "task": {"kind": "train", "dataset": "digits", "epochs": 20, "checkpoints": {"best": 2, "last": 2}},
}


GUARD = {"metric": "dev_error", "worse_by": 0.02, "within_epochs": 2}


class ManualWorker:
    """A worker by hand: what it leases, reports and uploads. An epoch has 10 steps."""

    def __init__(self, server: RunningServer, **study: Any) -> None:
        self.client = server.client
        self.client.create_study(PANDA | study)
        self.take()

    def take(self, number: int | None = None) -> Lease:
        leases = self.client.lease("ada", 10, 0).leases
        self.lease = next(one for one in leases if number is None or one.number == number)
        self.version, self.step = self.lease.resume.version if self.lease.resume else 0, 0
        return self.lease

    def _where(self) -> tuple[str, int, int]:
        return self.lease.study, self.lease.number, self.lease.fence

    def report(self, epoch: int, dev_error: float | None) -> Any:
        applied = (self.version, self.step) if self.version else (None, None)
        rows = [{"step": 10 * epoch, "epoch": epoch, "metrics": {"dev_error": dev_error}}]
        return self.client.report(*self._where(), rows, *applied).desired

    def apply(self, version: int, step: int) -> Any:
        self.version, self.step = version, step
        return self.client.report(*self._where(), [], version, step).desired

    def upload(self, step: int, value: float | None = None, version: int | None = None, wanted: int = 0) -> Any:
        study, number, fence = self._where()
        version = self.version if version is None else version
        content = f"{number} at {step}, {self.version}".encode()
        return self.client.put_checkpoint(
            study, number, step, content, fence, step / 10, value, version=version, wanted=wanted
        )

    def entries(self, number: int = 0) -> list[tuple[Any, ...]]:
        items = self.client.timeline("bear", number).items
        return [(one.version, one.verb, one.params, one.from_step, one.state) for one in items]

    def steps(self) -> list[int]:
        return [one.step for one in self.client.checkpoints("bear", self.lease.number).items]


def curve(worker: ManualWorker, **more: Any) -> list[tuple[int, int]]:
    return [(one.step, one.leg) for one in worker.client.trial_metrics("bear", 0, **more).items]


def lost(server: RunningServer, worker: ManualWorker) -> Any:
    """The worker dies; what the next one begins with."""
    server.advance(seconds=31)
    server.expire_leases()
    return worker.take().resume


def policed(server: RunningServer, **policy: Any) -> ManualWorker:
    worker = ManualWorker(server, policies=[policy])
    for epoch, error in ((1, 0.5), (2, 0.4), (3, 0.4), (4, 0.41)):
        worker.report(epoch, error)
    return worker
