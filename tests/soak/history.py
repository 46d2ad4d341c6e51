"""What a client wrote down of each request: a line before it is sent and a line for its answer.

A line is one write to a file that is opened for appending, so a client that is killed leaves whole lines, and at most
one torn one at the end. What was sent and has no answer is lost: it may have had its effect, or not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
LOST: Final = None
"""The status of a try that nobody answered."""


@dataclass(frozen=True)
class Try:
    """One HTTP request. Tries of one request have the same body and, where it has one, the same idempotency key.

    fence: the lease that it is written under, for what the holder of a lease sends. sent, answered: seconds since 1970,
    which all processes of a machine read from the same clock. answer: the JSON of a 2xx, or the `code` of a problem.
    """

    client: str
    request: str
    op: str
    study: str
    number: int | None
    fence: int | None
    body: Json
    sent: float
    answered: float | None = None
    status: int | None = LOST
    answer: Json | None = None
    retry_after: bool = False

    @property
    def is_acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class HistoryWriter:
    """Appends to the file of one client."""

    def __init__(self, file: Path, client: str) -> None:
        self._client = client
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._tries = 0

    def sent(
        self, request: str, op: str, study: str, number: int | None = None, fence: int | None = None, **body: Any
    ) -> int:
        """Write down that a request is about to be sent; returns what `answered` takes."""
        self._tries += 1
        what = {"request": request, "op": op, "study": study, "number": number, "fence": fence, "body": body}
        self._write({"try": self._tries, "client": self._client, "sent": time.time(), **what})
        return self._tries

    def answered(self, number: int, status: int, answer: Json | None, *, retry_after: bool = False) -> None:
        what = {"status": status, "answer": answer, "retry_after": retry_after}
        self._write({"try": number, "client": self._client, "answered": time.time(), **what})

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: Json) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_history(files: Iterable[Path]) -> list[Try]:
    """All tries of all clients, in the order in which they were sent."""
    tries = [one for file in sorted(files) for one in _tries(file)]
    return sorted(tries, key=lambda one: one.sent)


def _tries(file: Path) -> Iterator[Try]:
    sent: dict[int, Json] = {}
    for line in _lines(file):
        number = line.pop("try")
        if "sent" in line and number in sent:  # the client was killed and began again
            yield Try(**sent.pop(number))
        if "sent" in line:
            sent[number] = line
        elif number in sent:
            yield Try(**(sent.pop(number) | line))
    for one in sent.values():
        yield Try(**one)


def _lines(file: Path) -> Iterator[Json]:
    """The whole lines: none that a kill tore, at the end or before the first line of the client that followed."""
    *lines, _torn = file.read_bytes().split(b"\n")
    for line in lines:
        yield json.loads(line[line.rfind(b'{"try"') :])
