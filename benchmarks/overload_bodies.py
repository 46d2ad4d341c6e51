"""Bodies of 8 MB, each dear in its own way, for benchmarks/overload.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

LARGEST: Final = 8_000_000
"""Bytes: what a server takes that is told nothing else."""
VALUES: Final = 199_000
"""Just below the number of values that a server takes."""
STUDY: Final = "held"
"""A study whose first trial is held by who sends these."""


class Body(NamedTuple):
    """A request; `content` is JSON."""

    method: str
    path: str
    content: bytes


def bodies(fence: int) -> dict[str, Body]:
    """By kind. fence: of the first trial of STUDY."""
    trial = f"/v1/studies/{STUDY}/trials/0"
    preview, create = ("POST", "/v1/space:preview"), ("POST", "/v1/studies")
    report, tells = ("POST", f"{trial}:report"), ("POST", f"/v1/studies/{STUDY}/trials:tell")
    imported = ("POST", f"/v1/studies/{STUDY}/trials:import")
    found = ("PUT", f"{trial}/errors?fence={fence}"), ("PUT", f"{trial}/diagnosis?fence={fence}")
    made: dict[str, tuple[tuple[str, str], bytes]] = {
        "lists of nothing": (preview, _in_space(b"[" + b"[]," * VALUES + b"[]]")),
        "a list in a list in a list": (preview, _in_space(b"[" * VALUES + b"]" * VALUES)),
        "numbers of 38 digits": (preview, _in_space(b"[" + (b"0." + b"7" * 36 + b",") * VALUES + b"1]")),
        "one number of 8 million digits": (preview, _in_space(b"9" * (LARGEST - 20))),
        "a text of escapes": (create, b'{"name": "' + rb"\u00e9" * (LARGEST // 6 - 9) + b'"}'),
        "a text of emoji in escapes": (create, b'{"title": "' + rb"\ud83d\ude00" * (LARGEST // 12 - 9) + b'"}'),
        "a text of backslashes": (create, b'{"title": "' + rb"\\" * (LARGEST // 2 - 9) + b'"}'),
        "names of 32 letters": (preview, _in_space(_names(VALUES // 2, 32))),
        "unknown fields": (create, _names(VALUES // 2, 60)),
        "valid conditions": (preview, _dumped({"space": _conditions()})),
        "a choice of 1,000 lists": (preview, _dumped({"space": {"c": _choice()}})),
        "valid reports": (report, _dumped({"fence": fence, "reports": list(_reports())})),
        "tells of a wrong fence": (tells, _dumped({"tells": list(_tells())})),
        "imports without a study's metric": (imported, _dumped({"trials": list(_imports("other"))})),
        "imports, none of them new": (imported, _dumped({"trials": list(_imports("loss"))})),
        "10,000 mistakes": (found[0], _dumped(_mistakes())),
        "a diagnosis of any form": (found[1], _dumped({"errors": {}, "gaps": [], "found": ["é" * 20] * 150_000})),
    }
    return {kind: Body(*where, content[:LARGEST].ljust(LARGEST)) for kind, (where, content) in made.items()}


def _dumped(body: Any) -> bytes:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(content) <= LARGEST, len(content)
    return content


def _in_space(value: bytes) -> bytes:
    return b'{"space":{"x":{"type":"choice","values":' + value + b"}}}"


def _names(count: int, letters: int) -> bytes:
    return b"{" + b",".join(b'"p%0*d":1' % (letters, number) for number in range(count)) + b"}"


def _conditions() -> dict[str, Any]:
    chosen = {"q": {"type": "choice", "values": [f"{number:060d}" for number in range(1000)]}}
    when = {"q": [f"{number:060d}" for number in range(1000)]}
    return chosen | {f"p{i}": {"type": "float", "low": 0, "high": 1, "when": when} for i in range(99)}


def _choice() -> dict[str, Any]:
    return {"type": "choice", "values": [[f"{first}-{second}" for second in range(190)] for first in range(1000)]}


def _reports() -> Iterator[dict[str, Any]]:
    for step in range(1, 1000):
        yield {"step": step, "metrics": {f"metric_{number:020d}": step / 7 for number in range(95)}}


def _tells() -> Iterator[dict[str, Any]]:
    for number in range(1000):
        yield {"number": number, "fence": 77, "metrics": {f"m{number:04d}_{i:020d}": 0.123456789 for i in range(95)}}


def _imports(metric: str) -> Iterator[dict[str, Any]]:
    moment = "2026-11-27T13:30:00Z"
    for number in range(500):
        reports = [{"step": step, "metrics": {metric: step / 7}} for step in range(60)]
        yield {
            "key": f"made:{number}", "params": {"x": 0.5}, "state": "complete", "metrics": {metric: 0.5},
            "started_at": moment, "finished_at": moment, "error": "é" * 4000, "reports": reports,
        }  # fmt: skip


def _mistakes() -> dict[str, Any]:
    one = {"label": "a" * 100, "predicted": "b" * 100, "probability": 0.5, "tags": ["c" * 50] * 4}
    mistakes = [one | {"row": row} for row in range(9000)]
    return {"part": "dev", "examples": 10_000, "wrong": 9000, "mistakes": mistakes, "categories": []}
