"""The command line as a function, and servers for it in the states that the fixtures are named by."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import SecretStr

from sturgeon.cli.app import run
from tests.cli.command import BOWL, Command, Ran, command_of

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def sturgeon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `sturgeon ARGUMENTS`."""
    monkeypatch.setattr(gc, "freeze", lambda: None)  # by a server or a worker in this process: other tests collect

    def command(*arguments: str | Path, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr(), command_of(tuple(map(str, arguments))))

    return command


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables have all the room that they want, unless a test sets COLUMNS."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)


@pytest.fixture(autouse=True)
def silent_server() -> Iterator[None]:
    """A server in the tests' own process logs nothing into what a command prints."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def server(shared_server: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A server without studies, to which `sturgeon` speaks."""
    running = shared_server("spoken_to", max_attempts=1)
    monkeypatch.setenv("STURGEON_SERVER", running.url)
    return running


@pytest.fixture
def secured(shared_server: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A server without studies that wants the token `sesame`."""
    running = shared_server("secured", token=SecretStr("sesame"))
    monkeypatch.setenv("STURGEON_SERVER", running.url)
    return running


@pytest.fixture
def new_study(server: RunningServer) -> RunningServer:
    """A server with the study `bowl`: 4 trials, none handed out."""
    server.client.create_study(BOWL)
    return server


@pytest.fixture
def half_searched(new_study: RunningServer) -> RunningServer:
    """`bowl` with trial 0 at loss 0.5, trial 1 at loss 0.25, trial 2 failed, and trial 3 running."""
    tell = new_study.client.tell
    leases = {lease.number: lease.fence for lease in new_study.client.ask("bowl", 4, worker="laptop").leases}
    tell("bowl", 0, leases[0], {"loss": 0.5})
    new_study.advance(seconds=1)
    tell("bowl", 1, leases[1], {"loss": 0.25})
    new_study.advance(seconds=1)
    tell("bowl", 2, leases[2], state="failed", error="Traceback: ...\nValueError: no disk\x1b[31m")
    return new_study


@pytest.fixture
def searched(half_searched: RunningServer) -> RunningServer:
    """`half_searched`, with trial 3 diverged: the study is completed."""
    trial = half_searched.client.trial("bowl", 3)
    assert trial.state == "running"
    half_searched.client.tell("bowl", 3, 1, state="diverged")
    return half_searched
