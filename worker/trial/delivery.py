"""What is said to the server about one leased trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import Invalid, LeaseLost, NotFound, Problem, SturgeonError, TrialFinished, Unauthorized
from sturgeon.logs import Log
from sturgeon.values import Json, as_plain_text
from worker.child.protocol import Applied, Finished, Progress, RunEventMessage, SavedCheckpoint
from worker.child.sources import stored_checkpoint
from worker.patience import insist

T = TypeVar("T")

LOST: Final = (LeaseLost, TrialFinished, NotFound)
FINAL: Final = (*LOST, Unauthorized)
REPORT_EVERY_S: Final = 0.2
REPORTING_SHARE: Final = 0.2
LONGEST_REASON: Final = 2000
RELEASE_PATIENCE_S: Final = 3.0


class Delivery:
    """The calls of a trial's worker. Each waits for a server that is away, in `sleep`, which may raise to end that.

    What the server refuses is logged, and the run goes on: its end still counts. The errors in FINAL are raised.
    """

    def __init__(self, lease: m.Lease, client: Client, sleep: Callable[[float], None], log: Log) -> None:
        self._lease, self._client, self._sleep, self._log = lease, client, sleep, log
        self._where = lease.study, lease.number, lease.fence
        self._patient = client.with_patience(math.inf, sleep)
        self._takes_logs = True
        self.applied = (0, 0)
        """The version that was acknowledged last, and the step after which it counts."""
        self.report_next = 0.0
        """When the next report is due, so that reporting takes a fifth of the time at most."""

    def report(self, reports: Sequence[Progress]) -> m.Desired | None:
        """Report epochs; returns what the server desires, None if it refuses them."""
        last = reports[-1]
        rows = [{"step": r.step, "epoch": r.epoch, "metrics": r.metrics} for r in reports]
        desired = self._unless_refused(
            lambda: self._report(rows, last.version, last.since_step), "report refused", epoch=last.epoch
        )
        if desired is not None:
            self._log.debug("reported", epoch=last.epoch, step=last.step)
        return desired

    def acknowledge(self, applied: Applied) -> m.Desired:
        """Say from which step on a version counts."""
        desired = self._report([], applied.version, applied.step)
        self._log.info("steered", version=applied.version, step=applied.step)
        return desired

    def _report(self, rows: list[Json], version: int, since_step: int) -> m.Desired:
        applied = (version, since_step) if version else (None, None)
        began = time.monotonic()
        answer = self._insist(lambda: self._patient.report(*self._where, rows, *applied))
        ended = time.monotonic()
        self.report_next = ended + min(REPORT_EVERY_S, (ended - began) * (1 / REPORTING_SHARE - 1))
        self.applied = (version, since_step)
        return answer.desired

    def event(self, message: RunEventMessage) -> m.Desired | None:
        """Report an event of the run; returns what the server desires, None if it refuses the event."""
        event = {"kind": message.kind, "key": message.key, **message.detail}
        answer = self._unless_refused(
            lambda: self._insist(lambda: self._patient.report(*self._where, [], events=[event])),
            "event refused",
            kind=message.kind,
        )
        if answer is None:
            return None
        self._log.warning(message.kind.replace("_", " "), reason=message.detail.get("reason"))
        return answer.desired

    def upload(self, saved: SavedCheckpoint) -> None:
        """Upload a checkpoint, unless it is too large, or there is no room."""
        self._unless_refused(partial(self._put_checkpoint, saved), "checkpoint refused", epoch=saved.epoch)

    def _put_checkpoint(self, saved: SavedCheckpoint) -> None:
        study, number, fence = self._where
        about = saved.epoch, saved.value, saved.version, saved.wanted
        content = saved.read()
        self._insist(lambda: self._patient.put_checkpoint(study, number, saved.step, content, fence, *about))

    def findings(self, findings: Mapping[m.FindingKind, Mapping[str, object]]) -> None:
        """Store what the run has found out, by kind."""
        for kind, body in findings.items():
            try:
                self._unless_refused(partial(self._put_finding, kind, body), "finding refused", kind=kind)
            except NotFound:  # an older server knows no versions; if it is the trial that is gone, the next call learns
                if kind != "versions":
                    raise
                self._log.warning("the server keeps no versions of code and data")

    def _put_finding(self, kind: m.FindingKind, body: Mapping[str, object]) -> None:
        study, number, fence = self._where
        self._insist(lambda: self._patient.put_finding(study, number, kind, fence, body))

    def log(self, text: str) -> None:
        """Send what a user's program has written so far. A server that takes none is asked once."""
        if not self._takes_logs:
            return
        study, number, fence = self._where
        try:
            self._unless_refused(
                lambda: self._insist(lambda: self._patient.put_trial_log(study, number, fence, text)), "log refused"
            )
        except NotFound:  # an older server; if it is the trial that is gone, the next call learns that
            self._takes_logs = False
            self._log.warning("the server keeps no logs of programs")

    def tell(self, finished: Finished) -> None:
        """Tell the trial's end; as failed, with the reason, where the server refuses the result."""
        try:
            trial = self._tell(finished)
        except FINAL:
            raise
        except Problem as error:
            refused = f"The server refused the result: {error.message}"
            # What the server finds wrong with a result, it would find wrong with the next one.
            retry = not isinstance(error, Invalid)
            trial = self._tell(Finished("failed", finished.step, error=refused, retry=retry))
        log = self._log.bind(epoch=finished.metrics.get("epoch"), state=trial.state, value=trial.value)
        log.info("trial told", **({"error": trial.error} if trial.error else {}))

    def _tell(self, end: Finished) -> m.Trial:
        error = None if end.error is None else as_plain_text(end.error)
        return self._insist(
            lambda: self._patient.tell(*self._where, end.metrics, end.state, end.step, end.where, error, end.retry)
        )

    def release(self, unstackable: bool = False, unable: str | None = None) -> None:
        """Give the trial back; `unstackable`: to be run by itself; `unable`: why this worker cannot run it."""
        why = None if unable is None else (as_plain_text(unable) or "unknown")[:LONGEST_REASON]
        self._insist(lambda: self._patient.release(*self._where, alone=unstackable, unable=why))

    def release_soon(self) -> bool:
        """Give the trial back, unless that takes long: then its lease runs out. Whether it was given back."""
        try:
            self._client.with_patience(RELEASE_PATIENCE_S).release(*self._where)
        except SturgeonError as error:
            self._log.warning("trial not released, its lease will run out", reason=error.message)
            return False
        self._log.info("trial released")
        return True

    def checkpoint(self, step: int) -> bytes:
        """The trial's checkpoint of this step.

        Raises: NoSource, CheckpointLost.
        """
        study, number, _ = self._where
        return stored_checkpoint(self._patient, study, number, step, self._sleep)

    def _insist(self, call: Callable[[], T]) -> T:
        return insist(call, self._sleep, self._log)

    def _unless_refused(self, call: Callable[[], T], event: str, **about: object) -> T | None:
        try:
            return call()
        except FINAL:
            raise
        except Problem as error:
            self._log.error(event, reason=error.message, **about)
            return None
