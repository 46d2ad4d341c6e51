"""A child that says what a test puts into its mouth, and a server that answers what a test wants."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from structlog.testing import CapturingLogger

from sturgeon import Client
from sturgeon import messages as m
from sturgeon.errors import Problem, SturgeonError
from worker.child.protocol import ChildMessage, DesiredRun, Progress
from worker.trial.running import RunningTrial

NOW = "2026-01-02T03:04:05Z"
HERE = "/v1/studies/s/trials/3"


def lease(lease_s: float = 30.0, task: dict[str, Any] | None = None, **other: Any) -> m.Lease:
    fields = {"study": "s", "number": 3, "fence": 2, "attempt": 0, "seed": 7, "params": {}, "lease_s": lease_s}
    return m.Lease.model_validate(fields | {"task": task or {}, "desired": {}} | other)


def epoch(number: int) -> Progress:
    return Progress(step=10 * number, epoch=number, metrics={"dev_error": 1 / number}, number=number)


class ScriptedChild:
    """Stands for the child of one trial, in whose name a test speaks."""

    def __init__(self) -> None:
        self.heard: list[DesiredRun] = []
        self.heard_something = threading.Event()
        self.killed = threading.Event()

    def steer(self, _place: int, desired: DesiredRun) -> None:
        self.heard.append(desired)
        self.heard_something.set()

    def leave(self, _place: int) -> None:
        self.killed.set()


@dataclass
class ScriptedServer:
    """Keeps the calls that arrive; a `fault` for a call is raised or answered once instead of the usual answer.

    A call is named by its last word: leases, report, tell, release, renew, checkpoints, diagnosis, errors, dataset, and
    best (the checkpoint of another trial).
    """

    desired: dict[str, Any] = field(default_factory=dict)
    lost: list[dict[str, Any]] = field(default_factory=list)
    drain: bool = False
    leases: list[m.Lease] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    faults: dict[str, list[Exception | Problem]] = field(default_factory=dict)
    arrived: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def client(self) -> Client:
        return Client("http://server.test", transport=httpx.MockTransport(self._answer))

    def named(self, *names: str) -> list[Any]:
        return [body for name, body in self.calls if name in names]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = re.split(r"[:/]", re.sub(r"/\d+$", "", request.url.path))[-1]
        self.arrived.put(name)
        if faults := self.faults.get(name):
            fault = faults.pop(0)
            if not isinstance(fault, Problem):
                raise fault
            problem = {"title": "No", "status": fault.status, "code": fault.code, "detail": fault.message}
            return httpx.Response(fault.status, json=problem)
        is_json = request.headers.get("Content-Type") == "application/json"
        body = json.loads(request.content) if is_json else request.content
        self.calls.append((name, body))
        if name in ("diagnosis", "errors", "dataset"):
            return httpx.Response(204)
        if name == "best" or (name == "checkpoints" and request.method == "GET"):
            return httpx.Response(200, content=b"npz")
        return httpx.Response(200, json=self._usual(name, body))

    def _usual(self, name: str, body: Any) -> dict[str, Any]:
        usual: dict[str, Callable[[], dict[str, Any]]] = {
            "report": lambda: {"desired": self.desired},
            "tell": lambda: _trial(state=body["state"]),
            "release": lambda: _trial(state="queued"),
            "renew": lambda: {"held": self._held(body["held"]), "lost": self.lost, "drain": self.drain},
            "leases": lambda: {"leases": [self.leases.pop().model_dump(mode="json")] if self.leases else []},
            "checkpoints": lambda: {
                "step": 1, "epoch": 1, "value": 0, "sha256": "0" * 64, "size": 1, "created_at": NOW,
            },
        }  # fmt: skip
        return usual[name]()

    def _held(self, held: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lost = {(one["study"], one["number"]) for one in self.lost}
        return [
            one | {"lease_s": 30, "desired": self.desired} for one in held if (one["study"], one["number"]) not in lost
        ]


class Running:
    """A running trial whose child and server are scripted; lost at last, if it has not ended by itself."""

    def __init__(self, task: dict[str, Any] | None = None, server: ScriptedServer | None = None, **other: Any) -> None:
        self.child, self.server = ScriptedChild(), server or ScriptedServer()
        self.lease = lease(task=task, **other)
        self._ended: queue.SimpleQueue[SturgeonError | None] = queue.SimpleQueue()
        self.client = self.server.client()
        child: Any = self.child
        self.log = CapturingLogger()
        log: Any = structlog.wrap_logger(self.log, processors=[])
        self.trial = RunningTrial(self.lease, child, 0, self.client, log, self._on_ended)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.child.killed.is_set():
            self.trial.lose("the test is over")
            self.child.killed.wait(timeout=60)
        self.client.close()

    def _on_ended(self, _trial: RunningTrial, fatal: SturgeonError | None) -> None:
        self._ended.put(fatal)

    def say(self, *messages: ChildMessage) -> None:
        """What the child says."""
        for message in messages:
            self.trial.hear(message)

    def until_ended(self) -> SturgeonError | None:
        """The error that ends the worker, when the trial has ended."""
        return self._ended.get(timeout=60)

    def until_asked(self, name: str) -> None:
        """Wait for the next such call; those before it are forgotten."""
        while self.server.arrived.get(timeout=60) != name:
            pass

    @property
    def reported_steps(self) -> list[int]:
        return [row["step"] for body in self.server.named("report") for row in body["reports"]]


def _trial(state: str) -> dict[str, Any]:
    drawn = {"sampler": "random", "basis": 0, "revision": 0}
    nothing = dict.fromkeys(("value", "step", "where", "error", "worker", "parent", "invalid", "finished_at"))
    return {
        "study": "s", "number": 3, "state": state, "mode": "caviar", "params": {}, "seed": 7, "attempt": 0,
        "metrics": {}, "drawn": drawn, "created_at": NOW, "started_at": NOW,
    } | nothing  # fmt: skip
