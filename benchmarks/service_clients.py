"""The client processes of benchmarks/service.py: they are started once, and run one loop after the other.

Before the clock runs, each has done one step: a client's first request imports the messages that it uses, for 70 to
100 ms of processor time. Of 16 clients on two cores that is most of a second, so 16 seemed slower than 4.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Self

from benchmarks.service_loops import LOOPS, Step

BEGINS_IN_S: Final = 0.05
ANSWERS_WITHIN_S: Final = 120.0


@dataclass
class Ran:
    """What one client did in one round. units: trials, or steps of reports. waits_ms: of each of its steps."""

    units: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Clients:
    """So many processes, of which a round takes some."""

    def __init__(self, most: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.service_loops", "optuna"])
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(most):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(ANSWERS_WITHIN_S)

    def prepare(self, count: int, loop: str, target: Mapping[str, Any]) -> None:
        """Let so many clients open what the loop needs, and take one step."""
        for pipe in self._pipes[:count]:
            pipe.send((loop, dict(target)))
        for pipe in self._pipes[:count]:
            _received(pipe)

    def run(self, count: int, seconds: float) -> list[Ran]:
        """Let those that were prepared run for so long, all at once. A step that has begun comes to its end."""
        begin = time.monotonic() + BEGINS_IN_S
        for pipe in self._pipes[:count]:
            pipe.send((begin, seconds))
        return [_received(pipe) for pipe in self._pipes[:count]]


def _received(pipe: Connection) -> Any:
    if not pipe.poll(ANSWERS_WITHIN_S):
        raise TimeoutError("a client of the benchmark does not answer")
    answer = pipe.recv()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(pipe: Connection) -> None:
    while (order := pipe.recv()) is not None:
        loop, target = order
        try:
            step = LOOPS[loop](**target)
        except Exception as error:
            pipe.send(RuntimeError(f"{loop}: {type(error).__name__}: {error}"))
            continue
        first = Ran()
        _take(step, first)
        pipe.send(None)
        pipe.send(_ran(step, first.errors, *pipe.recv()))


def _take(step: Step, ran: Ran) -> None:
    try:
        ran.units += step()
    except Exception as error:
        ran.errors.append(f"{type(error).__name__}: {error}"[:200])


def _ran(step: Step, errors: list[str], begin: float, seconds: float) -> Ran:
    ran = Ran(errors=errors)
    time.sleep(max(0.0, begin - time.monotonic()))
    cpu, before = time.process_time(), time.monotonic()
    until, now = begin + seconds, before
    while now < until:
        _take(step, ran)
        after = time.monotonic()
        ran.waits_ms.append(1e3 * (after - now))
        now = after
    ran.seconds, ran.cpu_s = now - before, time.process_time() - cpu
    return ran
