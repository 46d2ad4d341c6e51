"""The worker: leases trials, runs each, or each stack of them, in a child process, and ends when it is told to.

One thread, the main one, owns the state; the others (the poll for leases, the heartbeat, one a child, two a trial)
and the signal handler put what happened into its inbox. A thread that fails ends what it served: one of a trial the
trial, the others the worker, with a reason.
"""

from __future__ import annotations

import math
import os
import queue
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final

from sturgeon import log_lines
from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import SturgeonError, Unauthorized
from sturgeon.logs import Log
from sturgeon.servers import shown
from sturgeon.threads import failures, reason_of
from sturgeon.values import Json
from worker.child import process
from worker.child.protocol import Job, desired_run_of
from worker.child.shared import SharedChild
from worker.heartbeat import Heartbeat
from worker.options import WorkerOptions, own_code_rules, resources_of
from worker.own.left_over import end_left_over
from worker.polling import Poll, give_back, stacks_of
from worker.setbacks import Setbacks
from worker.trial import left_behind
from worker.trial.running import RunningTrial
from worker.trial.spool import Spool

RELEASE_WITHIN_S: Final = 15.0

HELD_S: Final = 2.0
"""So long a request for work may wait while trials hold GPUs or memory: what gets free is offered by the next one."""


def run(options: WorkerOptions) -> int:
    """Run a worker until SIGTERM, SIGINT or the server drains it; the exit code is 0.

    Raises: ServerUnreachable (the address is none), Unauthorized (a wrong token), SturgeonError (the server refuses to
    work with this worker, another `trainer` is in the way, no process can be started, or a thread has failed).
    """
    name = options.name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    log = log_lines.configure(options.log_level, options.log_format).bind(worker=name)
    with Client(options.server, options.token) as client:
        process.start_fork_server()
        if (ended := end_left_over()) > 0:
            log.warning("programs of a worker that was killed have been ended", processes=ended)
        daemon = Daemon(client, options, name, log)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, daemon.signalled)
        return daemon.run()


class Daemon:
    """The state of a worker. `run` is for the main thread."""

    def __init__(self, client: Client, options: WorkerOptions, name: str, log: Log) -> None:
        self._client, self._options, self._log = client, options, log
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # its put is safe in a signal handler
        self._trials: list[RunningTrial] = []
        self._polling = False
        self._draining = threading.Event()
        self._signals, self._releasing = 0, False
        self._deadline = math.inf  # of the drain, then of the release
        self._fatal: SturgeonError | None = None
        self._heartbeat = Heartbeat(
            client,
            name,
            lambda: tuple(self._trials),
            log,
            on_drain=lambda: self._inbox.put(self._drain_for_the_server),
            on_refusal=lambda error: self._inbox.put(partial(self._refused, error)),
            on_failure=self._on_failure("heartbeat", within_s=0.0),  # nobody renews the leases any more
            on_beat=lambda: self._inbox.put(self._say_alive),
        )
        self._own_code = own_code_rules(options)
        self._resources, self._setbacks = resources_of(options), Setbacks()
        self._only: Json = {"only": list(options.studies)} if options.studies else {}
        share = options.spool_mb * 1e6 / (options.slots * options.stack)
        self._spool = Spool(options.spool, options.server, log, share)
        self._poll = Poll(
            client,
            name,
            options.slots,
            options.stack,
            options.poll_s,
            self._draining,
            log,
            before=lambda: left_behind.deliver(self._spool, client, log, self._draining),
            on_leases=lambda leases: self._inbox.put(partial(self._begin, leases)),
            on_refusal=lambda error: self._inbox.put(partial(self._refused, error)),
            on_failure=self._on_failure("poll for work", within_s=math.inf),
        )

    # --- for any thread

    def signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's shape
        """SIGTERM or SIGINT: the first drains, the second ends at once."""
        self._inbox.put(self._drain_for_a_signal)

    def _on_failure(self, thread: str, within_s: float) -> Callable[[Exception], None]:
        def end(error: Exception) -> None:
            reason = SturgeonError(f"The worker ended because its {thread} failed: {reason_of(error)}")
            self._inbox.put(partial(self._drain_for_a_fault, reason, within_s))

        return end

    def _on_ended(self, trial: RunningTrial, fatal: SturgeonError | None) -> None:
        self._inbox.put(partial(self._forget, trial, fatal))

    # --- in the main thread

    def run(self) -> int:
        self._say_alive()
        self._log.info("worker started", server=shown(self._options.server), slots=self._options.slots)
        self._spool.open()
        self._heartbeat.start()
        self._poll.start()
        try:
            while self._trials or not self._draining.is_set() or not self._inbox.empty():
                self._step()
        finally:
            self._heartbeat.stop()
            self._abandon()
            self._spool.close()
            if self._options.alive_file is not None:
                self._options.alive_file.unlink(missing_ok=True)
        self._log.info("worker ended", **({"thread_failures": failures()} if failures() else {}))
        if self._fatal is not None:
            raise self._fatal
        return 0

    def _say_alive(self) -> None:
        """Touch the file that a health check looks at: the heartbeat goes on, and so does this thread."""
        file = self._options.alive_file
        if file is None:
            return
        try:
            file.touch()
        except OSError as error:
            self._log.warning("alive file not touched", reason=f"{file}: {error.strerror}")

    def _step(self) -> None:
        free = self._options.slots - len({id(trial.child) for trial in self._trials})
        if free > 0 and not self._polling and not self._draining.is_set():
            self._polling = True
            at_most_s = HELD_S if self._resources.any_held else math.inf
            at_most_s = min(at_most_s, max(0.1, self._setbacks.seconds_left()))
            self._poll.want(free, self._resources.offer(self._setbacks.skipped()) | self._only, at_most_s)
        left = self._deadline - time.monotonic()
        try:
            happened = self._inbox.get(timeout=None if math.isinf(left) else max(left, 0))
        except queue.Empty:
            happened = self._give_up if self._releasing else self._release_all
        happened()

    def _begin(self, leases: list[m.Lease]) -> None:
        self._polling = False
        if self._draining.is_set():
            return give_back(self._client, leases)
        for stack in stacks_of(leases):
            self._begin_stack(stack)
        return self._heartbeat.changed()

    def _begin_stack(self, stack: list[m.Lease]) -> None:
        child = SharedChild([self._job(lease) for lease in stack], self._client, self._log)
        trials = []
        for place, lease in enumerate(stack):
            log = self._log.bind(study=lease.study, trial=lease.number, fence=lease.fence)
            spool = self._spool.of_trial(lease)
            trials.append(RunningTrial(lease, child, place, self._client, log, self._on_ended, spool))
            peers = {"stack": len(stack)} if len(stack) > 1 else {}
            log.info("trial started", attempt=lease.attempt, **peers)
        self._trials += trials
        for trial in trials:
            trial.start()
        child.start([trial.hear for trial in trials])

    def _job(self, lease: m.Lease) -> Job:
        return Job(
            lease.task or {},
            lease.params,
            lease.seed,
            self._options.data_dirs,
            study=lease.study,
            number=lease.number,
            desired=desired_run_of(lease.desired),
            resume=lease.resume,
            own=self._own_code,
            gpus=self._resources.take(lease),
            looks=lease.looks,
        )

    def _forget(self, trial: RunningTrial, fatal: SturgeonError | None) -> None:
        if trial in self._trials:
            self._trials.remove(trial)
            self._resources.give_back(trial.lease)
            self._note(trial)
        if isinstance(fatal, Unauthorized):
            self._refused(fatal)
        elif fatal is not None:
            self._drain_for_a_fault(fatal, math.inf)

    def _note(self, trial: RunningTrial) -> None:
        if trial.unable is None:
            return self._setbacks.clear(trial.lease.study)
        seconds = self._setbacks.note(trial.lease.study)
        self._log.warning("study left out", study=trial.lease.study, reason=trial.unable, seconds=round(seconds))
        return None

    def _drain_for_a_signal(self) -> None:
        self._drain("signal", 0.0 if self._signals else self._options.drain_s)
        self._signals += 1
        if self._releasing:
            self._release_all()

    def _drain_for_the_server(self) -> None:
        self._drain("server", math.inf)

    def _drain_for_a_fault(self, error: SturgeonError, within_s: float) -> None:
        """Trials that can still be delivered are; then the worker ends with this error."""
        self._fatal = self._fatal or error
        self._drain("fault", within_s)

    def _drain(self, why: str, within_s: float) -> None:
        if not self._draining.is_set():
            limit = {} if math.isinf(within_s) else {"within_s": within_s}  # JSON has no infinity
            self._log.info("draining", why=why, running=len(self._trials), **limit)
        self._draining.set()
        if not self._releasing:
            self._deadline = min(self._deadline, time.monotonic() + within_s)

    def _release_all(self) -> None:
        self._releasing, self._deadline = True, time.monotonic() + RELEASE_WITHIN_S
        for trial in self._trials:
            trial.release(gently=self._signals < 2)

    def _give_up(self) -> None:
        self._log.warning("trials not released, their leases will run out", running=len(self._trials))
        self._abandon()

    def _refused(self, error: SturgeonError) -> None:
        """The server takes nothing from this worker any more."""
        self._fatal = self._fatal or error
        self._draining.set()
        self._abandon()

    def _abandon(self) -> None:
        for trial in self._trials:
            trial.leave_child()
        self._trials.clear()
