"""A leased trial from hand-out to tell: what its child says is brought to the server.

The child's thread puts what it says into the trial's mailbox, so that the child never waits; one thread delivers in
order, however long the server is away; another uploads checkpoints beside the reports. A checkpoint sets out when all
that the child said before it has been delivered: so the server never holds a state with a change in it that was not
acknowledged; and a version that asked for a checkpoint is acknowledged when that is there.

A run ends early if the server says that the lease is lost, the daemon wants to end, the token is wrong, the system
starts no process for it, or a thread of ours fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import SturgeonError, Unauthorized
from sturgeon.logs import Log
from sturgeon.messages import OWN_KINDS
from sturgeon.threads import supervised
from worker.child.protocol import (
    Applied,
    BeginningLost,
    ChildMessage,
    FindingsMessage,
    Finished,
    LeaveStack,
    LogMessage,
    NotStarted,
    Paused,
    Progress,
    RunEventMessage,
    SavedCheckpoint,
    Unable,
    WorkerEnded,
)
from worker.child.shared import ChildOfTrials, fault
from worker.child.sources import CheckpointLost, NoSource
from worker.trial.delivery import LOST, Delivery
from worker.trial.endings import CannotRun, Interrupted, Outcome, TrialFailed
from worker.trial.mailbox import Mailbox
from worker.trial.spool import TrialSpool
from worker.trial.steering_link import MOST_REPORTS, SteeringLink
from worker.trial.thinning import rule_of
from worker.trial.uploads import Uploads

LINGER_S: Final = 0.02
GENTLE_S: Final = 10.0


class RunningTrial:
    """Runs a lease in its place of a child.

    `ended` is called once, from another thread; with the error that ends the worker, if there is one. `unable`: why
    this worker can run no trial of the study, if that is how it ended.
    """

    def __init__(
        self,
        lease: m.Lease,
        child: ChildOfTrials,
        place: int,
        client: Client,
        log: Log,
        ended: Callable[[RunningTrial, SturgeonError | None], None],
        spool: TrialSpool | None = None,
    ) -> None:
        self.lease, self.child, self._place = lease, child, place
        self._log, self._ended, self._spool = log, ended, spool or TrialSpool(None, log)
        task = lease.task or {}
        rule = rule_of(task)._replace(most_bytes=self._spool.most_bytes)
        expected = (Interrupted, SturgeonError)
        unreadable = (*expected, NoSource, CheckpointLost)
        self._mailbox = Mailbox(rule)
        self._delivery = Delivery(lease, client, self._sleep, log)
        self._uploads = Uploads(self._delivery.upload, self._fail, rule, expected, log)
        send = partial(child.steer, place)
        self._link = SteeringLink(lease, self._delivery.checkpoint, send, self._fail, unreadable, log)
        self._interrupted = threading.Event()
        self._early: Outcome = "told"
        self._telling = self._is_left = False
        self.unable: str | None = None
        self._is_asked_for = False

    # --- for any thread

    def start(self) -> None:
        supervised("delivery", self._deliver, self._give_up, self._log)
        self._uploads.start()
        self.steer(self.lease.desired)

    def hear(self, message: ChildMessage) -> None:
        """What the child says of this trial."""
        self._spool.take(message, self._mailbox.put, self._waiting)

    def _waiting(self) -> list[ChildMessage]:
        said = self._mailbox.waiting()  # before the uploads, where a checkpoint goes from here
        uploads = self._uploads.waiting()
        known = set(map(id, uploads))
        return [*uploads, *(message for message in said if id(message) not in known)]

    def renewal(self) -> m.Held:
        """What the heartbeat renews."""
        version, step = self._delivery.applied
        lease = self.lease
        named = {"study": lease.study, "number": lease.number, "fence": lease.fence}
        return m.Held.model_validate(named | ({"applied_version": version, "applied_step": step} if version else {}))

    def steer(self, desired: m.Desired) -> None:
        """Pass on to the child what the server desires."""
        self._link.steer(desired)

    def lose(self, reason: str) -> None:
        """The heartbeat learned that the lease is lost. A tell under way learns that itself, if it is so."""
        if not self._telling:
            self._log.warning("lease lost", reason=reason)
            self._interrupt("lost")

    def release(self, *, gently: bool = False) -> None:
        """Give the trial back unfinished. gently: a program that goes on from its checkpoint folder may write it."""
        task = self.lease.task or {}
        if gently and task.get("kind") in OWN_KINDS and task.get("checkpoints") is not None:
            self._link.drain()
            patience = threading.Timer(GENTLE_S, self.release)
            patience.daemon = True
            patience.start()
        else:
            self._interrupt("released")

    def leave_to_the_next(self) -> None:
        """Deliver nothing more; what waits stays in the spool."""
        self._is_left = True
        self._interrupt("lost")

    def leave_child(self) -> None:
        """Nobody waits for this trial any more."""
        self.child.leave(self._place)

    def _interrupt(self, outcome: Outcome) -> None:
        self._early = outcome
        self._spool.leave()
        self._interrupted.set()
        self._mailbox.fail(Interrupted())
        self._uploads.end()

    def _fail(self, error: Exception) -> None:
        """A thread that works for this trial cannot go on, and so the trial cannot."""
        if isinstance(error, NoSource):
            error = TrialFailed(str(error))
        elif not isinstance(error, Interrupted | SturgeonError | CheckpointLost):
            error = TrialFailed(fault(error))
        self._mailbox.fail(error)

    def _sleep(self, seconds: float) -> None:
        if self._interrupted.wait(seconds):
            raise Interrupted

    # --- in the thread that delivers

    def _deliver(self) -> None:
        self._conclude(*self._outcome(self._until_told))

    def _give_up(self, error: Exception) -> None:
        """A fault of ours: without an end the trial would be renewed for ever."""
        outcome: Outcome = "lost"
        fatal: SturgeonError | None = None
        try:
            outcome, fatal = self._outcome(partial(self._tell_failed, fault(error)))
        except Exception:
            self._log.exception("trial not told, its lease will run out")
        self._conclude(outcome, fatal)

    def _outcome(self, deliver: Callable[[], Outcome]) -> tuple[Outcome, SturgeonError | None]:
        try:
            return deliver(), None
        except Interrupted:
            return self._early, None
        except TrialFailed as error:
            return self._outcome(partial(self._tell_failed, str(error)))
        except CheckpointLost as error:
            return self._outcome(partial(self._give_back, str(error)))
        except Unauthorized as error:
            return "lost", error
        except LOST as error:
            self._log.warning("lease lost", reason=error.message)
            return "lost", None
        except CannotRun as error:
            self._log.error("trial not started", reason=error.message)
            return "released", error

    def _conclude(self, outcome: Outcome, fatal: SturgeonError | None) -> None:
        self._uploads.end()
        self.leave_child()
        self._spool.leave()
        if not self._is_left and (self._delivery.release_soon() if outcome == "released" else fatal is None):
            self._spool.remove()
        self._ended(self, fatal)

    def _until_told(self) -> Outcome:
        while True:
            reports, message = self._gathered()
            if reports:
                self._report(reports)
            if message is not None and (outcome := self._delivered(message)):
                return outcome
            self._mailbox.delivered()

    def _delivered(self, message: ChildMessage) -> Outcome | None:
        """The outcome, if this was the last word."""
        match message:
            case Applied():
                self._acknowledge(message)
            case RunEventMessage():
                self._steer_on(self._delivery.event(message))
            case FindingsMessage():
                self._delivery.findings(message.findings)
            case LogMessage():
                self._delivery.log(message.text)
            case SavedCheckpoint():
                self._uploads.add(message)
                self._is_asked_for = self._is_asked_for or message.wanted > 0
            case Finished():
                return self._finish(message)
            case Paused():
                return self._pause(message)
            case LeaveStack():
                return self._leave_stack(message)
            case BeginningLost():
                return self._give_back(message.reason)
            case Unable():
                return self._give_back(message.reason, is_unable=True)
            case WorkerEnded():
                self._finish_uploads()
                return "told"
            case NotStarted():
                raise CannotRun(message.reason)
        return None

    def _gathered(self) -> tuple[list[Progress], ChildMessage | None]:
        """The next reports, waiting a little for company; and what came after them if it is something else.

        Any answer may bring a change, so the wait is short: as a call takes longer, calls become rarer, and do not take
        more than a fifth of the time.
        """
        reports: list[Progress] = []
        until: float | None = None
        while len(reports) < MOST_REPORTS:
            message = self._mailbox.get(0.0 if len(reports) >= self._link.most_together else until)
            if not isinstance(message, Progress):
                return reports, message
            if until is None:
                until = max(time.monotonic() + LINGER_S, self._delivery.report_next)
            reports.append(message)
            if message.looked:  # its answer may stop the run: with it goes only what is there already
                until = 0.0
        return reports, None

    def _report(self, reports: list[Progress]) -> None:
        self._steer_on(self._delivery.report(reports))
        self._link.answer(reports[-1].number, looked=any(report.looked for report in reports))

    def _acknowledge(self, applied: Applied) -> None:
        """Each version by itself, in order: so the server knows the step of each. One that asked for a checkpoint is
        not applied before that is there: no other run would leave it again."""
        if self._is_asked_for:
            self._finish_uploads()
            self._is_asked_for = False
        self._steer_on(self._delivery.acknowledge(applied))

    def _steer_on(self, desired: m.Desired | None) -> None:
        if desired is not None:
            self.steer(desired)

    def _finish_uploads(self) -> None:
        self._uploads.finish()  # it returns also when an upload failed
        self._mailbox.check()

    def _finish(self, finished: Finished) -> Outcome:
        self._telling = True
        self._uploads.add_all(finished.checkpoints)
        self._finish_uploads()
        self._delivery.findings(finished.findings)
        self._delivery.tell(finished)
        return "told"

    def _tell_failed(self, reason: str) -> Outcome:
        self._telling = True
        self._delivery.tell(Finished("failed", error=reason))
        return "told"

    def _pause(self, paused: Paused) -> Outcome:
        """The server knows that it was to pause: what is given back waits for a person."""
        self._finish_uploads()
        self._delivery.release()
        self._log.info("trial paused", step=paused.step)
        return "told"

    def _give_back(self, reason: str, *, is_unable: bool = False) -> Outcome:
        """The server knows where the trial can go on, and hands it out again: elsewhere, if this worker is unable."""
        self.unable = reason if is_unable else None
        self._log.warning("trial given back", reason=reason)
        self._delivery.release(unable=self.unable)
        return "told"

    def _leave_stack(self, message: LeaveStack) -> Outcome:
        """Which of the stack's trials broke it is not known: each runs again where it harms itself only."""
        self._finish_uploads()
        self._log.warning("trial leaves its stack and will run alone", reason=message.reason)
        self._delivery.release(unstackable=True)
        return "told"
