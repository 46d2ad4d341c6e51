"""A worker that is older than its server: what one of 27 November 2026 said and was answered was recorded, with its
server of that day. It is said again to the server of today, which has to take it, and to answer what that worker reads.

The recording is of a whole run: a lease, reports, checkpoints, findings, renewals, the tell, and the next poll.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import DEADLINE_S, ServerProcess
from tests.server.studies import FROM_NO_PAGE, Json

RECORDED: Json = json.loads((Path(__file__).parent / "recorded" / "worker_of_2026_11_27.json").read_text())


def with_fence(value: Any, fence: int) -> Any:
    """What was recorded, under the fence of today's lease."""
    if isinstance(value, dict):
        return {key: fence if key == "fence" else with_fence(one, fence) for key, one in value.items()}
    return [with_fence(one, fence) for one in value] if isinstance(value, list) else value


def require_all_of(recorded: Any, told: Any, where: str) -> None:
    """Whatever the answer had then, it has now, as the same kind of value."""
    if isinstance(recorded, dict):
        assert isinstance(told, dict), where
        assert recorded.keys() <= told.keys(), (where, recorded.keys() - told.keys())
        for key, value in recorded.items():
            require_all_of(value, told[key], f"{where}.{key}")
    elif isinstance(recorded, list):
        assert len(recorded) == len(told), where
        for place, (one, other) in enumerate(zip(recorded, told, strict=True)):
            require_all_of(one, other, f"{where}[{place}]")
    elif recorded is not None:
        assert type(told) is type(recorded), (where, recorded, told)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_worker_from_before_is_understood_and_understands(
    kind: str, server_process: Callable[..., ServerProcess], request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(STURGEON_DATABASE_URL=url, STURGEON_LONGEST_WAIT_S="0")
    with httpx.Client(base_url=server.url, trust_env=False, timeout=DEADLINE_S) as http:
        created = http.post("/v1/studies", json=RECORDED["study"], headers=FROM_NO_PAGE)
        assert created.status_code == 201, created.text
        fence = 0
        for one in RECORDED["requests"]:
            body = with_fence(one["body"], fence)
            packed = body.get("base64")
            answer = http.request(
                one["method"],
                re.sub(r"fence=\d+", f"fence={fence}", one["path"]),
                content=base64.b64decode(packed) if packed else json.dumps(body),
                headers=one["headers"],
            )
            assert answer.status_code == one["status"], (one["path"], answer.text)
            told = answer.json() if answer.content else None
            require_all_of(one["answer"], told, one["path"])
            if told and told.get("leases"):
                [lease] = told["leases"]
                fence = lease["fence"]
                assert (lease["study"], lease["number"], lease["params"]) == ("old", 0, recorded_lease()["params"])
        trial = http.get("/v1/studies/old/trials/0").json()
        assert (trial["state"], trial["worker"], trial["attempt"]) == ("complete", "ada", 0)
        assert [point["step"] for point in http.get("/v1/studies/old/trials/0/metrics").json()["items"]] == [2, 4, 6]
        assert [one["step"] for one in http.get("/v1/studies/old/trials/0/checkpoints").json()["items"]] == [6]


def recorded_lease() -> Json:
    lease: Json = RECORDED["requests"][0]["answer"]["leases"][0]
    return lease
