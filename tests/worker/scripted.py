"""A child that says what a test puts into its mouth, and a server that answers what a test wants."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from sturgeon import Client
from sturgeon import messages as m
from sturgeon.errors import Problem
from worker.pipe import Progress, Said, Steer

NOW = "2026-01-02T03:04:05Z"
HERE = "/v1/studies/s/trials/3"


def lease(lease_s: float = 30.0) -> m.Lease:
    desired = m.Desired()
    return m.Lease(
        study="s", number=3, fence=2, attempt=0, seed=7, params={}, task={}, lease_s=lease_s, desired=desired
    )


def epoch(number: int) -> Progress:
    return Progress(step=10 * number, epoch=number, metrics={"dev_error": 1 / number})


class ScriptedChild:
    """Stands for a child process."""

    def __init__(self) -> None:
        self._says: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        self.heard: list[Steer] = []
        self.heard_something = threading.Event()
        self.killed = threading.Event()

    def say(self, *messages: Said) -> None:
        for message in messages:
            self._says.put(message)

    def messages(self) -> Iterator[Said]:
        while (message := self._says.get()) is not None:
            yield message

    def steer(self, wish: Steer) -> None:
        self.heard.append(wish)
        self.heard_something.set()

    def kill(self) -> None:
        self.killed.set()
        self._says.put(None)


@dataclass
class ScriptedServer:
    """Keeps the calls that arrive; a `fault` for a call is raised or answered once instead of the usual answer.

    A call is named by its last word: report, tell, release, renew, checkpoints, diagnosis, errors, and best (the
    checkpoint of another trial).
    """

    desired: dict[str, Any] = field(default_factory=dict)
    lost: list[dict[str, Any]] = field(default_factory=list)
    drain: bool = False
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
        if name in ("diagnosis", "errors"):
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


def _trial(state: str) -> dict[str, Any]:
    drawn = {"sampler": "random", "basis": 0, "revision": 0}
    nothing = dict.fromkeys(("value", "step", "where", "error", "worker", "parent", "invalid", "finished_at"))
    return {
        "study": "s", "number": 3, "state": state, "mode": "caviar", "params": {}, "seed": 7, "attempt": 0,
        "metrics": {}, "drawn": drawn, "created_at": NOW, "started_at": NOW,
    } | nothing  # fmt: skip
