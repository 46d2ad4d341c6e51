"""A leased trial from hand-out to tell: its child trains, three threads bring what it says to the server.

One thread reads the child's pipe, so that the child never waits; another delivers in order, however long the
server is away; the third uploads checkpoints beside the reports. A checkpoint sets out when all that the child said
before it has been delivered: so the server never holds a state with a change in it that was not acknowledged; and a
version that asked for one is acknowledged when it is there. Only
three things end a run early: the server says that the lease is lost, the daemon wants to end, or the token is wrong.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import (
    InternalError,
    LeaseLost,
    NotFound,
    Problem,
    ServerUnreachable,
    SturgeonError,
    TrialFinished,
    Unauthorized,
)
from sturgeon.training import STREAM
from worker.logs import Log
from worker.pipe import Alone, Applied, End, Found, Happened, Paused, Progress, Said, SavedCheckpoint, Steer
from worker.sharing import Place
from worker.sources import NoSource, stored
from worker.uploads import Uploads

T = TypeVar("T")
Outcome = Literal["told", "lost", "released"]

LOST: Final = (LeaseLost, TrialFinished, NotFound)
FINAL: Final = (*LOST, Unauthorized)
LINGER_S: Final = 0.02
REPORT_EVERY_S: Final = 0.2
REPORTING_SHARE: Final = 0.2
MOST_REPORTS: Final = 1000
AFTER_A_FAULT_S: Final = 5.0
RELEASE_PATIENCE_S: Final = 3.0


class Interrupted(Exception):
    """The run shall end before its time."""


class RunningTrial:
    """Runs a lease in its place of a child.

    `ended` is called once, from another thread; with the error that ends the worker.
    """

    def __init__(
        self,
        lease: m.Lease,
        child: Place,
        client: Client,
        log: Log,
        ended: Callable[[RunningTrial, SturgeonError | None], None],
    ) -> None:
        self.lease, self.child = lease, child
        self._client, self._log, self._ended = client, log, ended
        self._patient = client.with_patience(math.inf, self._sleep)
        self._said: queue.SimpleQueue[Said | Exception | None] = queue.SimpleQueue()
        self._uploads = Uploads(self._upload, self._said.put)
        self._interrupted = threading.Event()
        self._early: Outcome = "told"
        self._telling = False
        self._steering = threading.Lock()
        self._desired = lease.desired
        self._steered = Steer()
        self._is_asked_for = False
        self._leg = lease.resume.leg if lease.resume else 0
        self._content: bytes | None = None
        self._fetching = self._leg
        self._applied = (0, 0)
        # A run that follows a stream waits to hear what becomes of a portion; the others train on meanwhile.
        self._is_awaited = str((lease.task or {}).get("dataset")).startswith(STREAM)
        self._answered = -1
        self._report_next = 0.0

    def start(self) -> None:
        for work in (self._read, self._deliver):
            threading.Thread(target=work, name=f"{work.__name__}-{self.lease.number}", daemon=True).start()
        self._uploads.start(f"_upload-{self.lease.number}")
        self.steer(self.lease.desired)

    def held(self) -> m.Held:
        """What the heartbeat renews."""
        version, step = self._applied
        applied = {"applied_version": version, "applied_step": step} if version else {}
        lease = self.lease
        return m.Held(study=lease.study, number=lease.number, fence=lease.fence, **applied)

    def steer(self, desired: m.Desired) -> None:
        """Pass on to the child what the server desires; a run that shall go back needs its checkpoint with it."""
        with self._steering:
            if desired.version < self._desired.version:  # this answer was overtaken by a newer one
                return
            self._desired = desired
            if desired.leg <= self._leg:
                self._pass_on()
            elif desired.leg > self._fetching:
                self._fetching = desired.leg
                work = threading.Thread(target=self._fetch, args=(desired,), name=f"_fetch-{self.lease.number}")
                work.daemon = True
                work.start()

    def _pass_on(self) -> None:
        wish = replace(steer_of(self._desired), content=self._content, answered=self._answered)
        if wish != self._steered:
            self._steered = wish
            self.child.steer(wish)

    def _fetch(self, desired: m.Desired) -> None:
        """The checkpoint of a new leg. The server is asked while the child trains on: those steps do not count."""
        content = None
        try:
            if desired.restore:
                lease = self.lease
                content = stored(self._patient, lease.study, lease.number, desired.restore, self._sleep)
        except Interrupted:
            return None
        except NoSource as error:
            return self._said.put(End("failed", error=str(error)))
        except SturgeonError as error:
            return self._said.put(error)
        with self._steering:
            if desired.leg == self._fetching:
                self._leg, self._content = desired.leg, content
                self._pass_on()
        return None

    def lose(self, reason: str) -> None:
        """The heartbeat learned that the lease is lost. A tell under way learns that itself, if it is so."""
        if not self._telling:
            self._log.warning("lease lost", reason=reason)
            self._interrupt("lost")

    def release(self) -> None:
        """Give the trial back unfinished."""
        self._interrupt("released")

    def _interrupt(self, outcome: Outcome) -> None:
        self._early = outcome
        self._interrupted.set()
        self._uploads.end()
        self._said.put(None)

    def _sleep(self, seconds: float) -> None:
        if self._interrupted.wait(seconds):
            raise Interrupted

    def _read(self) -> None:
        for message in self.child.messages():
            self._said.put(message)

    def _deliver(self) -> None:
        outcome: Outcome = "lost"
        fatal: SturgeonError | None = None
        try:
            outcome = self._until_told()
        except Interrupted:
            outcome = self._early
        except Unauthorized as error:
            fatal = error
        except LOST as error:
            self._log.warning("lease lost", reason=error.message)
        finally:
            self._uploads.end()
            self.child.kill()
            if outcome == "released":
                self._give_back()
            self._ended(self, fatal)

    def _until_told(self) -> Outcome:
        while True:
            reports, message = self._gathered()
            if reports:
                self._report(reports)
            match message:
                case Applied():
                    self._acknowledge(message)
                case Happened():
                    self._tell_of(message)
                case Found():
                    self._keep_all(message.findings)
                case SavedCheckpoint():
                    self._uploads.add(message)
                    self._is_asked_for = self._is_asked_for or message.wanted > 0
                case Paused():
                    self._all_uploaded()
                    return self._pause(message)
                case Alone():
                    self._all_uploaded()
                    return self._release_alone(message)
                case End():
                    return self._end(message)

    def _end(self, end: End) -> Outcome:
        self._telling = True
        for saved in end.checkpoints:
            self._uploads.add(saved)
        self._all_uploaded()
        self._keep_all(end.findings)
        return self._tell(end)

    def _all_uploaded(self) -> None:
        self._uploads.finish()
        if self._interrupted.is_set():
            raise Interrupted
        if not self._said.empty() and isinstance(failure := self._said.get(), Exception):
            raise failure

    def _gathered(self) -> tuple[list[Progress], Said | None]:
        """The next reports, waiting a little for company; and what came after them if it is something else.

        An answer may stop the run, so the wait is short: as a call takes longer, calls become rarer, and do not take
        more than a fifth of the time.
        """
        reports: list[Progress] = []
        until = math.inf
        while len(reports) < MOST_REPORTS:
            try:
                left = until - time.monotonic()
                message = self._said.get(timeout=max(left, 0) if reports else None)
            except queue.Empty:
                break
            if message is None:
                raise Interrupted
            if isinstance(message, Exception):
                raise message
            if not isinstance(message, Progress):
                return reports, message
            until = min(until, max(time.monotonic() + LINGER_S, self._report_next))
            reports.append(message)
        return reports, None

    def _report(self, reports: list[Progress]) -> None:
        last = reports[-1]
        rows = [{"step": r.step, "epoch": r.epoch, "metrics": r.metrics} for r in reports]
        try:
            self._say(rows, last.version, last.since_step)
        except FINAL:
            raise
        except Problem as error:  # those metrics are not kept; the trial's end still counts
            self._log.error("report refused", epoch=last.epoch, reason=error.message)
            self._answer(last.step)
            return
        self._log.debug("reported", epoch=last.epoch, step=last.step)

    def _acknowledge(self, applied: Applied) -> None:
        """Each version by itself, in order: so the server knows the step of each. One that asked for a checkpoint is
        not applied before that is there: no other run would leave it again."""
        if self._is_asked_for:
            self._uploads.finish()
            if self._interrupted.is_set():
                raise Interrupted
            self._is_asked_for = False
        self._say([], applied.version, applied.step)
        self._log.info("steered", version=applied.version, step=applied.step)

    def _tell_of(self, happened: Happened) -> None:
        lease = self.lease
        event = {"kind": happened.kind, "key": happened.key, **happened.detail}
        try:
            answer = self._insist(
                lambda: self._patient.report(lease.study, lease.number, lease.fence, [], events=[event])
            )
        except FINAL:
            raise
        except Problem as error:
            self._log.error("event refused", kind=happened.kind, reason=error.message)
            return
        self._log.warning(happened.kind.replace("_", " "), reason=happened.detail.get("reason"))
        self.steer(answer.desired)

    def _say(self, rows: list[dict[str, Any]], version: int, since_step: int) -> None:
        lease = self.lease
        applied = (version, since_step) if version else (None, None)
        began = time.monotonic()
        answer = self._insist(lambda: self._patient.report(lease.study, lease.number, lease.fence, rows, *applied))
        ended = time.monotonic()
        self._report_next = ended + min(REPORT_EVERY_S, (ended - began) * (1 / REPORTING_SHARE - 1))
        self._applied = (version, since_step)
        self.steer(answer.desired)
        if rows:
            self._answer(rows[-1]["step"])

    def _answer(self, step: int) -> None:
        """Tell the child that the server has seen this step, after what it desires since."""
        if self._is_awaited:
            with self._steering:
                self._answered = step
                if self._desired.leg <= self._leg:
                    self._pass_on()

    def _upload(self, saved: SavedCheckpoint) -> None:
        lease = self.lease
        try:
            self._insist(
                lambda: self._patient.put_checkpoint(
                    lease.study,
                    lease.number,
                    saved.step,
                    saved.content,
                    lease.fence,
                    saved.epoch,
                    saved.value,
                    saved.version,
                    saved.wanted,
                )
            )
        except FINAL:
            raise
        except Problem as error:  # too large, or no room: the result itself still counts
            self._log.error("checkpoint refused", epoch=saved.epoch, reason=error.message)

    def _keep_all(self, findings: Mapping[m.FindingKind, Mapping[str, Any]]) -> None:
        for kind, body in findings.items():
            self._keep(kind, body)

    def _keep(self, kind: m.FindingKind, body: Mapping[str, Any]) -> None:
        lease = self.lease
        try:
            self._insist(lambda: self._patient.put_finding(lease.study, lease.number, kind, lease.fence, body))
        except FINAL:
            raise
        except Problem as error:
            self._log.error("finding refused", kind=kind, reason=error.message)

    def _tell(self, end: End) -> Outcome:
        try:
            told = self._told(end)
        except FINAL:
            raise
        except Problem as error:
            refused = f"The server refused the result: {error.message}"
            told = self._told(End("failed", end.step, error=refused))
        log = self._log.bind(epoch=end.metrics.get("epoch"), state=told.state, value=told.value)
        log.info("trial told", **({"error": told.error} if told.error else {}))
        return "told"

    def _told(self, end: End) -> m.Trial:
        lease = self.lease
        return self._insist(
            lambda: self._patient.tell(
                lease.study,
                lease.number,
                lease.fence,
                end.metrics,
                end.state,
                end.step,
                end.where,
                end.error,
            )
        )

    def _insist(self, call: Callable[[], T]) -> T:
        """The client waits for a server that is away; this waits for one, or a proxy before it, that is ill."""
        while True:
            try:
                return call()
            except (InternalError, ServerUnreachable) as error:
                self._log.error("server is ill", reason=error.message)
                self._sleep(AFTER_A_FAULT_S)

    def _pause(self, paused: Paused) -> Outcome:
        """The server knows that it was to pause: what is given back waits for a person."""
        lease = self.lease
        self._insist(lambda: self._patient.release(lease.study, lease.number, lease.fence))
        self._log.info("trial paused", step=paused.step)
        return "told"

    def _release_alone(self, alone: Alone) -> Outcome:
        """Which of the stack's trials broke it is not known: each runs again where it harms itself only."""
        lease = self.lease
        self._log.warning("trial leaves its stack and will run alone", reason=alone.reason)
        self._insist(lambda: self._patient.release(lease.study, lease.number, lease.fence, alone=True))
        return "told"

    def _give_back(self) -> None:
        lease = self.lease
        try:
            self._client.with_patience(RELEASE_PATIENCE_S).release(lease.study, lease.number, lease.fence)
            self._log.info("trial released")
        except SturgeonError as error:
            self._log.warning("trial not released, its lease will run out", reason=error.message)


def steer_of(desired: m.Desired) -> Steer:
    """What is desired, in the words of a child."""
    return Steer(
        desired.params,
        desired.version,
        stop=desired.run == "stop",
        pruned=desired.why == "pruned",
        pause=desired.run == "pause",
        keep=desired.checkpoint,
        leg=desired.leg,
        restore=desired.restore or 0,
    )
