"""A client that does at random whatever people and scripts do, and writes down each request and its answer.

`python -m tests.soak.client NAME SEED HISTORY URL..` runs until it gets SIGTERM. It sends each request to any of the
servers, under a key of its own where the route takes one, until it is answered or `PATIENCE_S` have passed; some that
were answered it sends again, and some it sends under a lease that it has lost.
"""

from __future__ import annotations

import hashlib
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.soak.history import HistoryWriter, Json
from tests.soak.studies import ASKED, STEERED

TIMEOUT_S: Final = 6.0
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.12
"""On average between two requests."""
MOST_HELD: Final = 30
LEASE_S: Final = 10
STEERING: Final = {"params": 4, "pause": 1, "resume": 3, "checkpoint": 1, "rollback": 1, "fork": 1}
"""Verbs by how often they are drawn."""


@dataclass(frozen=True)
class Request:
    """What is sent, the same at each try. tell: what the history says of it."""

    name: str
    method: str
    path: str
    tell: Json
    json: Json | None = None
    content: bytes | None = None
    params: Json = field(default_factory=dict)
    with_key: bool = True


class Asker:
    """One client. Raises what a mistake of its own makes; no answer of a server does."""

    def __init__(self, name: str, seed: int, history: Path, urls: list[str]) -> None:
        self._name, self._chance = f"{name}-{seed}", random.Random(f"{name} {seed}")
        self._history = HistoryWriter(history, name)
        limits = httpx.Timeout(TIMEOUT_S)
        self._servers = [httpx.Client(base_url=url, timeout=limits, trust_env=False, verify=False) for url in urls]
        self._count = 0
        self._held: list[Json] = []
        self._done: list[Request] = []
        self.ended = threading.Event()

    def run(self) -> None:
        actions = (self.ask, self.report, self.report, self.tell, self.tell, self.put_checkpoint, self.enqueue)
        actions += (self.correct, self.steer, self.read, self.read, self.send_again, self.send_late)  # type: ignore[assignment]
        while not self.ended.is_set():
            self._chance.choice(actions)()
            self.ended.wait(self._chance.expovariate(1 / PAUSE_S))
        self.close()

    def close(self) -> None:
        self._history.close()
        for server in self._servers:
            server.close()

    # --- what it does ---

    def ask(self) -> None:
        study = self._chance.choices(ASKED, (1, 3, 1))[0]["name"]
        body = {"count": self._chance.randint(1, 3), "worker": self._name, "lease_s": LEASE_S}
        if len(self._held) < MOST_HELD:
            answer = self._send("ask", "POST", f"/v1/studies/{study}/trials:ask", {"study": study}, json=body)
            for lease in (answer or {}).get("leases", ()):
                self._held.append({"study": study, "number": lease["number"], "fence": lease["fence"], "step": 0})

    def report(self) -> None:
        if self._held:
            one = self._chance.choice(self._held)
            one["step"] += 1
            self._report(one)

    def tell(self) -> None:
        if self._held:
            self._tell(self._held.pop(self._chance.randrange(len(self._held))))

    def put_checkpoint(self) -> None:
        if not self._held:
            return
        one = self._chance.choice(self._held)
        content = self._chance.randbytes(self._chance.choice((10, 1000, 100_000)))
        one["step"] += 1
        where = f"{self._trial(one)}/checkpoints/{one['step']}"
        query = {"fence": one["fence"], "sha256": hashlib.sha256(content).hexdigest()}
        self._send("checkpoint", "PUT", where, one, content=content, params=query, with_key=False)

    def enqueue(self) -> None:
        study = self._chance.choice(ASKED)["name"]
        params = {"x": self._chance.uniform(-1, 1), "n": self._chance.randint(1, 4)}
        tell = {"study": study, "params": params}
        self._send("enqueue", "POST", f"/v1/studies/{study}/trials", tell, json={"params": params})

    def correct(self) -> None:
        """Cancel, requeue, invalidate, or take from its holder."""
        one = self._some_trial()
        verb = self._chance.choices(("cancel", "requeue", "invalidate", "release"), (3, 4, 1, 2))[0]
        bodies: dict[str, Json | None] = {"invalidate": {"reason": "no use"}, "release": {"fence": None}}
        self._send(verb, "POST", f"{self._trial(one)}:{verb}", one, json=bodies.get(verb))

    def steer(self) -> None:
        study = self._chance.choice(STEERED)
        one = {"study": study, "number": 0 if study in ("panda", "river") else self._chance.randrange(5)}
        verb = self._chance.choices([*STEERING], [*STEERING.values()])[0]
        trial, reason = self._trial(one), {"reason": "soak"}
        if verb == "params":
            change = {"params": {"learning_rate": self._chance.uniform(1e-4, 1e-2)}}
            self._send("steer", "PATCH", f"{trial}/params", one, json=change | reason)
        elif verb == "fork":
            branches = [{"params": {"learning_rate": self._chance.uniform(1e-4, 1e-2)}}]
            self._send("fork", "POST", f"{trial}:fork", one, json={"branches": branches, "control": False} | reason)
        else:
            self._send("steer", "POST", f"{trial}:{verb}", one, json=reason)
            if verb == "pause":
                self._send("steer", "POST", f"{trial}:resume", one, json=reason)

    def read(self) -> None:
        one = self._some_trial()
        self._send("read", "GET", self._trial(one), one, with_key=False)

    def send_again(self) -> None:
        """The very same request, long after it was answered."""
        if self._done:
            self._try(self._chance.choice(self._done))

    def send_late(self) -> None:
        """Something new under a lease that is lost: it was taken from this client."""
        if not self._held:
            return
        one = self._held.pop(self._chance.randrange(len(self._held)))
        self._send("release", "POST", f"{self._trial(one)}:release", one | {"fence": None}, json={"fence": None})
        self._send(
            "ask",
            "POST",
            f"/v1/studies/{one['study']}/trials:ask",
            {"study": one["study"]},
            json={"count": 1, "worker": "another", "lease_s": LEASE_S},
        )
        one["step"] += 1
        self._chance.choice((self._report, self._tell))(one)

    # --- how it is sent ---

    def _report(self, one: Json) -> None:
        reports = [{"step": one["step"], "metrics": {"loss": self._chance.random()}}]
        body = {"fence": one["fence"], "reports": reports}
        self._send(
            "report", "POST", f"{self._trial(one)}:report", one | {"reports": reports}, json=body, with_key=False
        )

    def _tell(self, one: Json) -> None:
        state = self._chance.choices(("complete", "failed", "diverged"), (6, 1, 1))[0]
        metrics = {"loss": self._chance.random()} if state == "complete" else {}
        body = {"fence": one["fence"], "state": state, "metrics": metrics}
        self._send("tell", "POST", f"{self._trial(one)}:tell", one, json=body, with_key=False)

    def _send(self, op: str, method: str, path: str, tell: Json, **sent: Any) -> Json | None:
        """Send until it is answered; the answer, where it was done."""
        self._count += 1
        name = f"{self._name}.{self._count}"
        request = Request(name, method, path, {"op": op, **tell}, **sent)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self.ended.is_set():
            answer = self._try(request)
            if answer is not None and answer.status_code != 503:
                if answer.is_success and op != "read":
                    self._done = [*self._done[-200:], request]
                return answer.json() if answer.is_success else None
            self.ended.wait(self._chance.uniform(0.1, 0.6))
        return None

    def _try(self, request: Request) -> httpx.Response | None:
        headers = {"X-Requested-With": self._name}
        if request.with_key:
            headers["Idempotency-Key"] = request.name
        told = {name: value for name, value in request.tell.items() if name in ("op", "study", "number", "fence")}
        rest = {name: value for name, value in request.tell.items() if name in ("params", "reports", "step")}
        sent = self._history.sent(request.name, **told, **rest)
        try:
            answer = self._chance.choice(self._servers).request(
                request.method,
                request.path,
                json=request.json,
                content=request.content,
                params=request.params,
                headers=headers,
            )
        except httpx.TransportError:
            return None
        said = answer.json() if answer.content else {}
        kept = said if answer.is_success else {name: said.get(name) for name in ("code", "detail")}
        self._history.answered(sent, answer.status_code, kept, retry_after="Retry-After" in answer.headers)
        return answer

    def _some_trial(self) -> Json:
        if self._held and self._chance.random() < 0.3:
            one = self._chance.choice(self._held)
            return {"study": one["study"], "number": one["number"]}
        return {"study": self._chance.choice(ASKED)["name"], "number": self._chance.randrange(60)}

    def _trial(self, one: Json) -> str:
        return f"/v1/studies/{one['study']}/trials/{one['number']}"


def main() -> None:
    name, seed, history, *urls = sys.argv[1:]
    asker = Asker(name, int(seed), Path(history), urls)
    signal.signal(signal.SIGTERM, lambda *_: asker.ended.set())
    asker.run()


if __name__ == "__main__":
    main()
