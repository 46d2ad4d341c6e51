"""The embedded server: one for each folder, as long as somebody uses it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sturgeon
from sturgeon import embedded
from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from sturgeon.tuning.connection import PATIENCE_S
from tests.processes import DEADLINE_S, clean_environment, wait_until

USER = """
import sys
from pathlib import Path
from sturgeon import embedded
print(embedded.server(Path(".sturgeon"), idle_s=0.2).url, flush=True)
sys.stdin.read()
"""


class User:
    """A program that uses the embedded server of its folder until it is ended."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", USER],
            cwd=folder,
            env=clean_environment() | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self, how: signal.Signals | None = None) -> None:
        if how is not None:
            self._process.send_signal(how)
        self._process.communicate(timeout=DEADLINE_S)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of an embedded server, which ends with the test."""
    yield tmp_path / ".sturgeon"
    server = told(tmp_path / ".sturgeon")
    if server and embedded.is_locked(tmp_path / ".sturgeon" / embedded.SERVER):
        os.kill(server["pid"], signal.SIGKILL)


def told(folder: Path) -> dict[str, int]:
    """What server.json says."""
    try:
        answer: dict[str, int] = json.loads((folder / embedded.ADDRESS).read_text())
    except OSError:
        return {}
    return answer


def wait_until_ended(folder: Path) -> None:
    wait_until(lambda: not embedded.is_locked(folder / embedded.SERVER), "the embedded server had ended")


def test_users_that_start_at_once_share_a_server_which_ends_after_the_last(tmp_path: Path, folder: Path) -> None:
    # A user's own files of these names are in nobody's way.
    for name in ("server", "worker", "trainer", "sturgeon_server"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user was taken')\n")
    users = [User(tmp_path, PYTHONPATH=".") for _ in range(3)]

    urls = {user.url() for user in users}

    [url] = urls
    token = (folder / embedded.TOKEN).read_text().strip()
    assert stat.S_IMODE((folder / embedded.TOKEN).stat().st_mode) == 0o600
    with Client(url, token) as client:
        assert client.studies().items == []
    users[0].end()
    users[1].end(signal.SIGKILL)
    assert embedded.running(folder) == url
    users[2].end(signal.SIGKILL)
    wait_until_ended(folder)
    assert embedded.running(folder) is None


def test_a_server_that_was_killed_is_followed_by_another_with_its_studies(tmp_path: Path, folder: Path) -> None:
    user = User(tmp_path)
    url = user.url()
    with Client(url, (folder / embedded.TOKEN).read_text().strip()) as client:
        client.create_study({"name": "bowl", "metric": "loss", "space": {"x": {"type": "float", "low": 0, "high": 1}},
                             "budget": {"max_trials": 4}})  # fmt: skip
    os.kill(told(folder)["pid"], signal.SIGKILL)
    wait_until_ended(folder)
    assert told(folder)["url"] == url  # a stale file
    user.end(signal.SIGKILL)

    server = embedded.server(folder)
    try:
        with Client(server.url, server.token) as client:
            assert client.study("bowl").name == "bowl"
    finally:
        embedded.leave(folder, end=True)
    assert not embedded.is_locked(folder / embedded.SERVER)


def test_a_server_that_was_killed_while_it_is_used_is_started_again(folder: Path) -> None:
    with sturgeon.study("bowl", {"x": sturgeon.linear(0, 1)}, minimize="loss", trials=2, folder=folder) as study:
        first = told(folder)
        os.kill(first["pid"], signal.SIGKILL)
        wait_until_ended(folder)
        began = time.monotonic()

        for trial in study:
            trial.report(loss=trial.params.x)

        again = told(folder)
        assert (again["url"], again["pid"] != first["pid"]) == (first["url"], True)
        assert [trial.state for trial in study.trials] == ["complete", "complete"]
        assert time.monotonic() - began < PATIENCE_S / 2
    embedded.revive(folder)  # of a folder that this process does not use any more
    wait_until_ended(folder)


def test_a_server_that_others_use_is_not_ended_with_us(folder: Path) -> None:
    """Locks say who uses it, so no process is needed for the other user."""
    folder.mkdir()
    other = embedded.open_lock(folder / embedded.USERS)
    embedded.fcntl.flock(other, embedded.fcntl.LOCK_SH)
    embedded._use(folder)
    ended: list[Path] = []
    original, embedded._end_server = embedded._end_server, ended.append
    try:
        embedded.leave(folder, end=True)
        assert ended == []
        os.close(other)
        embedded._use(folder)
        embedded.leave(folder, end=True)
        assert ended == [folder]
    finally:
        embedded._end_server = original


def test_a_server_that_cannot_start_says_why(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho 'The database is of a newer version.' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(SturgeonError, match=r"did not start; .*server.log ends with: The database is of a newer"):
        embedded.server(folder)
    assert embedded._uses == {}


def test_a_folder_that_is_a_file_is_refused(folder: Path) -> None:
    folder.touch()

    with pytest.raises(SturgeonError, match="cannot be the folder of an embedded server"):
        embedded.server(folder)
