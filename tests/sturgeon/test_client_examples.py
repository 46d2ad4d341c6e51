"""The examples of one's own code, as they stand in the repository, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import Settings
from tests.processes import DEADLINE_S
from tests.running import RunningServer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def server(migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that wants a token: what works with one works without."""
    checkpoints = tmp_path / "checkpoints"
    return serve(Settings(database_url=migrated_sqlite_url, checkpoints=checkpoints, token=SecretStr("sesame")))


def run(command: list[str], server: RunningServer) -> str:
    environment = os.environ | {"STURGEON_SERVER": server.url, "STURGEON_TOKEN": "sesame"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_asks_reports_and_tells_until_the_budget_is_spent(server: RunningServer) -> None:
    printed = run([sys.executable, str(EXAMPLES / "own_code.py")], server)

    [study] = server.client.studies().items
    assert (study.state, study.counts["complete"]) == ("completed", 20)
    winner = server.client.best(study.name).winner
    assert winner is not None
    assert f"trial {winner.number}: loss {winner.value:.3g}" in printed
    assert [r.step for r in server.client.trial_metrics(study.name, 0).items] == [25, 50]


def test_curl_asks_reports_and_tells_until_the_budget_is_spent(server: RunningServer) -> None:
    printed = run([str(EXAMPLES / "own_code.sh")], server)

    [study] = server.client.studies().items
    assert (study.state, study.counts["complete"]) == ("completed", 10)
    assert study.best is not None
    assert f'"number":{study.best.number}' in printed.replace(" ", "")
    assert study.best.value == (study.best.params["x"] - 1) ** 2
    assert [r.metrics["loss"] for r in server.client.trial_metrics(study.name, study.best.number).items] == [
        study.best.value
    ]
