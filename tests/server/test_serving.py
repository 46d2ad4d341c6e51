"""What must hold before a server listens, and how it answers and stops then."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from server.serving import serve as serve_until_stopped
from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from tests.processes import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes import ServerProcess


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org"])
def test_a_server_for_others_needs_a_token(tmp_path: Path, host: str) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'never.db'}", host=host)

    with pytest.raises(SturgeonError, match="so it needs a token: set STURGEON_TOKEN or STURGEON_TOKEN_FILE"):
        serve_until_stopped(settings)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["", None])
def test_an_empty_token_is_none(tmp_path: Path, token: str | None) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'never.db'}",
        host="0.0.0.0",
        token=None if token is None else SecretStr(token),
    )

    with pytest.raises(SturgeonError, match="so it needs a token"):
        serve_until_stopped(settings)


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")

    with pytest.raises(SturgeonError, match=r"The token file .* is empty"):
        Settings(token_file=tmp_path / "token").shared_token()
    with pytest.raises(SturgeonError, match="Give the token or the token file, not both"):
        Settings(token_file=tmp_path / "token", token=SecretStr("x")).shared_token()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://root@localhost/x", "Sturgeon keeps its studies in SQLite or PostgreSQL"),
        ("nonsense", "The database URL must look like"),
        ("sqlite://", "SQLite needs a file: write sqlite:///FILE"),
        ("sqlite:///:memory:", "SQLite needs a file: write sqlite:///FILE"),
        ("sqlite:///studies.db?mode=ro", "A SQLite database takes no options such as 'mode'"),
        (
            "postgresql://u:hidden@h/x?nonsense=1",
            'is not one that PostgreSQL knows: invalid connection option "nonsense"',
        ),
    ],
)
def test_another_database_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(SturgeonError, match=sentence):
        serve_until_stopped(Settings(database_url=url))


@pytest.mark.parametrize("setting", [{"port": 65536}, {"lease_s": 0}, {"max_attempts": 0}, {"threads": 0}], ids=str)
def test_a_setting_out_of_bounds_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**setting)


# --- a real server ---


@pytest.fixture
def process(server_process: Callable[..., ServerProcess]) -> ServerProcess:
    return server_process()


def test_an_answer_does_not_wait_for_an_acknowledgement(process: ServerProcess) -> None:
    """Nagle's algorithm and delayed acknowledgements together take 40 ms for every answer but the first few."""
    with httpx.Client(base_url=process.url, trust_env=False) as http:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            assert http.get("/healthz").is_success
            times.append(time.perf_counter() - began)

    assert sorted(times[10:])[5] < 0.03


def test_a_server_with_waiting_workers_stops_at_once_and_keeps_what_it_acknowledged(process: ServerProcess) -> None:
    with Client(process.url, patience_s=0) as client, ThreadPoolExecutor() as threads:
        client.create_study(
            {
                "name": "bowl",
                "metric": "loss",
                "space": {"x": {"type": "float", "low": 0, "high": 1}},
                "budget": {"max_trials": 1},
            }
        )
        waiting = threads.submit(client.lease, "ada", wait=30)
        wait_until(lambda: bool(client.workers().items), "ada waited")
        began = time.monotonic()
        assert process.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 25, "the poll was ended, which would have taken 30 s"
        assert waiting.result(timeout=DEADLINE_S).leases == []
        process.start()
        assert client.with_patience(10).study("bowl").state == "active"
