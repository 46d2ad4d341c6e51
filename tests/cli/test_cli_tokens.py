"""`sturgeon token create | list | revoke`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import Command
from tests.server.tokens import SHARED_TOKEN, guarded_server

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings
    from tests.running import RunningServer


@pytest.fixture
def guarded(
    migrated_sqlite_url: str,
    tmp_path: Path,
    serve: Callable[[Settings], RunningServer],
    monkeypatch: pytest.MonkeyPatch,
) -> RunningServer:
    """A server that wants a token, which the commands send."""
    server = guarded_server(migrated_sqlite_url, tmp_path, serve)
    monkeypatch.setenv("STURGEON_SERVER", server.url)
    monkeypatch.setenv("STURGEON_TOKEN", SHARED_TOKEN)
    return server


def test_a_token_is_created_used_listed_and_revoked(
    guarded: RunningServer, sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sturgeon("token", "create", "ada", "--scope", "work", "--scope", "read", "--days", "1").out.splitlines()
    assert made[0] == "Token ada is for read, work, until 2026-01-02 12:00 UTC."
    token = made[1].split()[-1]
    assert made[1] == f"It is known to the server at {guarded.url}, and not shown again: {token}"
    assert sturgeon("token", "create", "bob", "--scope", "admin").out.startswith(
        "Token bob is for admin, until it is revoked.\n"
    )

    monkeypatch.setenv("STURGEON_TOKEN", token)
    assert sturgeon("study", "list", "-o", "json").json == []
    refused = sturgeon("token", "list")
    assert (refused.code, refused.err) == (
        1,
        "sturgeon: The token ada has not the scope that this needs: admin. Send one that has it.\n",
    )
    monkeypatch.setenv("STURGEON_TOKEN", SHARED_TOKEN)
    listed = sturgeon("token", "list", "-o", "json")
    assert [(one["name"], one["scopes"], one["state"]) for one in listed.json] == [
        ("ada", ["read", "work"], "active"),
        ("bob", ["admin"], "active"),
    ]
    assert token not in listed.out
    assert "read, work" in sturgeon("token", "list").out

    assert sturgeon("token", "revoke", "ada").out == "Token ada is revoked.\n"
    assert sturgeon("token", "revoke", "bob", "-o", "json").json == {"deleted": "bob"}
    assert [one["state"] for one in sturgeon("token", "list", "-o", "json").json] == ["revoked", "revoked"]
    monkeypatch.setenv("STURGEON_TOKEN", token)
    assert "was revoked or has expired" in sturgeon("study", "list").err


@pytest.mark.usefixtures("guarded")
def test_a_token_of_some_studies_is_listed_with_their_prefixes(sturgeon: Command) -> None:
    made = sturgeon("token", "create", "ada", "--scope", "read", "--studies", "mnist-", "--studies", "digits-").out
    assert made.startswith(
        "Token ada is for read, of studies that begin with digits- or mnist-, until it is revoked.\n"
    )
    sturgeon("token", "create", "bob", "--scope", "write")

    listed = sturgeon("token", "list")
    assert [one["studies"] for one in sturgeon("token", "list", "-o", "json").json] == [["digits-", "mnist-"], None]
    assert "digits-*, mnist-*" in listed.out
    assert sturgeon("token", "create", "eve", "--scope", "read", "--studies", "").code == 2
    assert "is for all studies" in sturgeon("token", "create", "eve", "--scope", "admin", "--studies", "x").err


@pytest.mark.usefixtures("guarded")
def test_a_token_that_cannot_be_is_refused_in_a_sentence(sturgeon: Command) -> None:
    assert sturgeon("token", "create", "ada").code == 2
    assert sturgeon("token", "create", "", "--scope", "read").code == 2
    assert sturgeon("token", "create", "ada", "--scope", "read", "--days", "0").code == 2
    assert "'work'" in sturgeon("token", "create", "ada", "--scope", "lunch").err
    assert (
        sturgeon("token", "revoke", "ada").err == "sturgeon: There is no token ada; `sturgeon token list` lists them.\n"
    )


@pytest.mark.usefixtures("server")
def test_without_a_shared_token_there_are_none(sturgeon: Command) -> None:
    refused = sturgeon("token", "create", "ada", "--scope", "read")

    assert refused.code == 1
    assert "start it with STURGEON_TOKEN or STURGEON_TOKEN_FILE first" in refused.err


@pytest.mark.usefixtures("guarded")
def test_a_token_may_go_to_a_file_of_its_owner_alone(
    sturgeon: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token of ada"
    file.write_text("an old one, which a worker reads")
    made = sturgeon("token", "create", "ada", "--scope", "read", "--out", file)
    told = sturgeon("token", "create", "bob", "--scope", "read", "--out", tmp_path / "bob", "-o", "json")

    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    assert token not in made.out
    assert str(file) in made.out
    assert "token" not in told.json
    monkeypatch.setenv("STURGEON_TOKEN_FILE", str(file))
    monkeypatch.delenv("STURGEON_TOKEN")
    assert sturgeon("study", "list", "-o", "json").json == []


@pytest.mark.usefixtures("guarded")
def test_no_token_is_made_for_a_file_that_cannot_be_written(sturgeon: Command, tmp_path: Path) -> None:
    refused = sturgeon("token", "create", "ada", "--scope", "read", "--out", tmp_path / "none" / "token")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "cannot be written" in refused.err
    assert sturgeon("token", "list", "-o", "json").json == []
