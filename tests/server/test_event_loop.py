"""What the event loop does at one go is little, also for the first request of its kind: meanwhile it answers nobody."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import httpx
import pytest

from server.app import create_app
from server.settings import Settings
from tests.server.studies import BOWL, FROM_NO_PAGE

MOST_CALLS: Final = 10_000
"""Function calls, which are the same however busy the machine is: some five milliseconds. To look into all routes takes
109,000, the description 1,400,000; each of the others took less than 5,000 when this was written."""

MANY: Final = 5_000
STEP: Final = asyncio.Handle._run.__code__


@contextmanager
def calls_at_one_go() -> Iterator[dict[str, int]]:
    """`most` is how many functions the event loop of this thread has called in one step."""
    found = {"most": 0}
    now = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal now
        if event == "call":
            now = 0 if frame.f_code is STEP else now + 1
            found["most"] = max(found["most"], now)

    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(None)


REQUESTS: Final[list[tuple[str, str, Any]]] = [
    ("GET", "/nowhere", None),
    ("PUT", "/v1/studies", {}),
    ("DELETE", "/", None),
    ("GET", "/openapi.json", None),
    ("GET", "/openapi.json", None),
    ("GET", "/docs", None),
    ("GET", "/", None),
    ("GET", "/studies/bowl", None),
    ("GET", "/static/js/api.js", None),
    ("GET", "/static/vega-themes.json", None),
    ("GET", "/v1/studies/nowhere", None),
    ("GET", "/v1/studies?limit=many", None),
    ("GET", "/v1/studies/bowl/plots/history", None),
    ("GET", "/metrics", None),
    ("POST", "/v1/studies", {"name": [[]] * MANY}),
    ("POST", "/v1/studies", BOWL | {"name": "wide", "space": {f"x{at}": {} for at in range(MANY // 5)}}),
    ("POST", "/v1/studies/bowl/trials:ask", {}),
    ("POST", "/v1/studies/bowl/trials:ask", {"worker": [{}] * MANY}),
    ("POST", "/v1/studies/bowl/trials:tell", {"tells": [{}] * MANY}),
    ("POST", "/v1/leases:renew", {"worker": "ada", "held": [{}] * MANY}),
    ("POST", "/v1/leases", {"worker": "ada", "wait": 0}),
]


@pytest.fixture
def settings(migrated_sqlite_file: Path, tmp_path: Path) -> Settings:
    file = shutil.copy(migrated_sqlite_file, tmp_path / "sturgeon.db")
    return Settings(database_url=f"sqlite:///{file}", checkpoints=tmp_path / "checkpoints", reap_every_s=600)


def test_no_first_request_of_its_kind_keeps_the_event_loop_busy(settings: Settings) -> None:
    """Each in an app that nobody has used would take a second each; the first three are those that were dear."""
    calls: list[tuple[str, str, int]] = []

    async def ask_all() -> None:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=FROM_NO_PAGE) as http,
        ):
            for method, path, body in [("POST", "/v1/studies", BOWL), *REQUESTS]:
                with calls_at_one_go() as found:
                    answer = await http.request(method, path, json=body)
                assert answer.status_code < 500
                calls.append((method, path, found["most"]))

    asyncio.run(ask_all())

    assert [one for one in calls if one[2] > MOST_CALLS] == []
    assert min(most for _, _, most in calls) > 0
