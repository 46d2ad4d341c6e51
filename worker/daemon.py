"""The worker: leases trials, runs each, or each stack of them, in a child process, and ends when it is told to.

One thread, the main one, owns the state; the others (the poll for leases, the heartbeat, one a child, two a trial)
and the signal handler put what happened into its inbox.
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
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from sturgeon import messages as m
from sturgeon.client import Client
from sturgeon.errors import InternalError, Problem, ServerUnreachable, SturgeonError
from sturgeon.training import STREAM
from worker import logs, runner
from worker.heartbeat import Heartbeat
from worker.logs import Log
from worker.pipe import Job
from worker.sharing import SharedChild
from worker.trial import RELEASE_PATIENCE_S, RunningTrial, steer_of

RELEASE_WITHIN_S: Final = 15.0
AFTER_A_FAULT_S: Final = 5.0
SHORTEST_POLL_S: Final = 1.0


@dataclass(frozen=True)
class WorkerOptions:
    """What `sturgeon worker` can be told.

    server: its address; token: its shared token, if it has one. slots: trials at a time, or stacks of up to `stack`
    trials of one shape. data_dirs: folders that npz:, csv: and stream: data come from. name: by default host, process
    and a random part. poll_s: how long one request for work waits at the server (0 .. 30). drain_s: how long running
    trials may go on after SIGTERM.
    """

    server: str
    token: str | None = None
    slots: int = 1
    stack: int = 1
    data_dirs: tuple[Path, ...] = ()
    name: str | None = None
    poll_s: float = 30.0
    drain_s: float = 20.0
    log_level: str = "info"


def run(options: WorkerOptions) -> int:
    """Run a worker until SIGTERM, SIGINT or the server drains it; the exit code is 0.

    Raises:
        ServerUnreachable: the address is none. Unauthorized: a wrong token.
        SturgeonError: the server refuses to work with this worker, or another `trainer` is in the way.
    """
    name = options.name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    log = logs.configure(options.log_level).bind(worker=name)
    with Client(options.server, options.token) as client:
        runner.start_fork_server()
        daemon = Daemon(client, options, name, log)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, daemon.signalled)
        return daemon.run()


class Draining(Exception):
    """The worker takes no more work."""


class Daemon:
    """The state of a worker. `run` is for the main thread."""

    def __init__(self, client: Client, options: WorkerOptions, name: str, log: Log) -> None:
        self._client, self._options, self._name, self._log = client, options, name, log
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # its put is safe in a signal handler
        self._wanted: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._trials: list[RunningTrial] = []
        self._polling = False
        self._draining = threading.Event()
        self._signalled = self._releasing = False
        self._deadline = math.inf  # of the drain, then of the release
        self._fatal: SturgeonError | None = None
        self._heartbeat = Heartbeat(
            client,
            name,
            lambda: tuple(self._trials),
            log,
            on_drain=lambda: self._inbox.put(self._drain_for_the_server),
            on_refusal=lambda error: self._inbox.put(partial(self._fail, error)),
        )

    def signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's shape
        """SIGTERM or SIGINT: the first drains, the second ends at once."""
        self._inbox.put(self._drain_for_a_signal)

    def run(self) -> int:
        self._log.info("worker started", server=self._options.server, slots=self._options.slots)
        self._heartbeat.start()
        threading.Thread(target=self._poll, name="poll", daemon=True).start()
        try:
            while self._trials or not self._draining.is_set() or not self._inbox.empty():
                self._step()
        finally:
            self._heartbeat.stop()
            self._abandon()
        self._log.info("worker ended")
        if self._fatal is not None:
            raise self._fatal
        return 0

    # --- in the main thread

    def _step(self) -> None:
        free = self._options.slots - len({id(trial.child.shared) for trial in self._trials})
        if free > 0 and not self._polling and not self._draining.is_set():
            self._polling = True
            self._wanted.put(free)
        left = self._deadline - time.monotonic()
        try:
            happened = self._inbox.get(timeout=None if math.isinf(left) else max(left, 0))
        except queue.Empty:
            happened = self._give_up if self._releasing else self._release_all
        happened()

    def _begin(self, leases: list[m.Lease]) -> None:
        self._polling = False
        if self._draining.is_set():
            return self._give_back(leases)
        for stack in stacks_of(leases):
            jobs = [self._job(lease) for lease in stack]
            shared = SharedChild(jobs, self._client)
            for lease, place in zip(stack, shared.places, strict=True):
                log = self._log.bind(study=lease.study, trial=lease.number)
                trial = RunningTrial(lease, place, self._client, log, self._on_ended)
                self._trials.append(trial)
                trial.start()
                mates = {"stack": len(stack)} if len(stack) > 1 else {}
                log.info("trial started", attempt=lease.attempt, fence=lease.fence, **mates)
            shared.start()
        return self._heartbeat.changed()

    def _job(self, lease: m.Lease) -> Job:
        return Job(
            lease.task or {},
            lease.params,
            lease.seed,
            self._options.data_dirs,
            study=lease.study,
            number=lease.number,
            desired=steer_of(lease.desired),
            resume=lease.resume,
        )

    def _on_ended(self, trial: RunningTrial, fatal: SturgeonError | None) -> None:
        """Called in the trial's thread."""
        self._inbox.put(partial(self._forget, trial, fatal))

    def _forget(self, trial: RunningTrial, fatal: SturgeonError | None) -> None:
        if trial in self._trials:
            self._trials.remove(trial)
        if fatal is not None:
            self._fail(fatal)

    def _drain_for_a_signal(self) -> None:
        self._drain("signal", 0.0 if self._signalled else self._options.drain_s)
        self._signalled = True

    def _drain_for_the_server(self) -> None:
        self._drain("server", math.inf)

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
            trial.release()

    def _give_up(self) -> None:
        self._log.warning("trials not released, their leases will run out", running=len(self._trials))
        self._abandon()

    def _fail(self, error: SturgeonError) -> None:
        self._fatal = self._fatal or error
        self._draining.set()
        self._abandon()

    def _abandon(self) -> None:
        for trial in self._trials:
            trial.child.kill()
        self._trials.clear()

    # --- in the thread that polls

    def _poll(self) -> None:
        client = self._client.with_patience(math.inf, self._sleep)
        while not self._draining.is_set():
            slots, asked = self._wanted.get(), time.monotonic()
            leases: list[m.Lease] = []
            try:
                leases = client.lease(self._name, slots, self._options.poll_s, self._options.stack).leases
            except Draining:
                return None
            except (InternalError, ServerUnreachable) as error:
                self._log.error("server is ill", reason=error.message)
                self._draining.wait(AFTER_A_FAULT_S)
            except Problem as error:
                return self._inbox.put(partial(self._fail, error))
            if self._draining.is_set():
                return self._give_back(leases)
            if not leases:
                self._draining.wait(max(0.0, asked + SHORTEST_POLL_S - time.monotonic()))
            self._inbox.put(partial(self._begin, leases))
        return None

    def _sleep(self, seconds: float) -> None:
        if self._draining.wait(seconds):
            raise Draining

    def _give_back(self, leases: list[m.Lease]) -> None:
        """What came after the worker began to drain."""
        for lease in leases:
            with suppress(SturgeonError):
                self._client.with_patience(RELEASE_PATIENCE_S).release(lease.study, lease.number, lease.fence)


def stacks_of(leases: Iterable[m.Lease]) -> list[list[m.Lease]]:
    """The leases of one answer, those of a stack together, if they begin at the same step: new ones, and the branches
    of one checkpoint. Those that follow a stream wait for portions each at its own pace."""
    found: dict[tuple[str, int, int], list[m.Lease]] = {}
    for lease in leases:
        step = -1 if lease.resume is None else lease.resume.step
        is_single = lease.stack is None or str((lease.task or {}).get("dataset")).startswith(STREAM)
        key = (lease.study, lease.number, step) if is_single else ("", lease.stack or 0, step)
        found.setdefault(key, []).append(lease)
    return list(found.values())
