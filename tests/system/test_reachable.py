"""A server that others can reach needs the token; with it, everything works by that address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sturgeon.client import Client
from sturgeon.errors import Unauthorized
from tests.processes import STURGEON, Process, ServerProcess, WorkerProcess

EVERY_ADDRESS = "0.0.0.0"
STUDY = {
    "name": "reached",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-2, "scale": "log"}},
    "budget": {"max_trials": 1},
    "task": {"kind": "train", "dataset": "iris", "epochs": 1},
}


def test_a_server_on_another_address_than_loopback_refuses_to_start_without_a_token(tmp_path: Path) -> None:
    server = Process([STURGEON, "serve", "--host", EVERY_ADDRESS, "--port", "0"], tmp_path, {}, "refused")
    server.start()
    assert server.wait() == 1
    [sentence] = server.output.strip().splitlines()
    assert "needs a token" in sentence
    assert "STURGEON_TOKEN" in sentence


def test_a_worker_with_the_token_reaches_a_server_by_that_address(
    tmp_path: Path, server_process: Callable[..., ServerProcess], worker_process: Callable[..., WorkerProcess]
) -> None:
    (tmp_path / "token").write_text("a-shared-secret\n")
    secret = {"STURGEON_TOKEN_FILE": str(tmp_path / "token")}
    server = server_process("--host", EVERY_ADDRESS, **secret)
    address = f"http://{EVERY_ADDRESS}:{server.port}"
    worker_process(address, **secret)
    with Client(address, "a-shared-secret") as client:
        client.create_study(STUDY)
        server.wait_until(lambda: client.study("reached").state == "completed", "the study completed")
        assert client.study("reached").counts == {"complete": 1}
    with Client(address, "another") as stranger, pytest.raises(Unauthorized):
        stranger.studies()
    assert "a-shared-secret" not in server.output


def test_a_worker_with_a_wrong_token_ends_with_a_sentence(
    server_process: Callable[..., ServerProcess], worker_process: Callable[..., WorkerProcess]
) -> None:
    server = server_process("--host", EVERY_ADDRESS, STURGEON_TOKEN="right")
    worker = worker_process(server.url, STURGEON_TOKEN="wrong")
    assert worker.wait() == 1
    assert "token" in worker.output.splitlines()[-1]
    assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == 401
