"""`sturgeon study describe` and `trial describe`; versions of code and data in `study show` and `study watch`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.cli import studies
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer

CODE: dict[str, Any] = {"commit": "a" * 40, "dirty": False}


def test_tags_and_notes_are_added_and_taken_away(sturgeon: Command, new_study: RunningServer) -> None:
    sturgeon("study", "describe", "bowl", "--tag", "a", "--tag", "b", "--notes", "a bowl", "--title", "Bowl")
    assert sturgeon("study", "describe", "bowl", "--untag", "a", "--tag", "c").code == 0

    study = new_study.client.study("bowl")
    assert (study.tags, study.notes, study.title) == (["b", "c"], "a bowl", "Bowl")
    refused = sturgeon("study", "describe", "bowl", "--untag", "a")
    assert (refused.code, "it has no such tag; its tags are b, c" in refused.err) == (2, True)
    assert [found["name"] for found in sturgeon("study", "list", "--tag", "b", "-o", "json").json] == ["bowl"]
    assert sturgeon("study", "list", "--tag", "a", "-o", "json").json == []


def test_a_trial_is_described(sturgeon: Command, new_study: RunningServer) -> None:
    new_study.client.ask("bowl")

    assert sturgeon("trial", "describe", "bowl", 0, "--tag", "odd", "--notes", "see plot").out == (
        "Trial 0 of bowl: tags odd; notes: see plot\n"
    )
    assert "see plot" in sturgeon("trial", "show", "bowl", 0).out


def test_the_commit_is_read_when_a_study_is_created_and_a_trial_is_asked_for(
    sturgeon: Command, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "code_version", lambda: CODE)
    monkeypatch.setattr("sturgeon.cli.trial.code_version", lambda: CODE | {"commit": "b" * 40, "dirty": True})
    sturgeon("study", "create", "-", stdin=json.dumps(BOWL))
    sturgeon("trial", "ask", "bowl")

    study = server.client.study("bowl")
    assert study.code_version is not None
    assert study.code_version.commit == "a" * 40
    told = f"from trial 0 on {'b' * 12} and changes, before {'a' * 12}"
    assert told in sturgeon("study", "show", "bowl").out
    server.client.patch_study("bowl", {"state": "stopped"})
    server.client.tell("bowl", 0, 1, {"loss": 1.0})
    assert f"The code changed: {told}." in sturgeon("study", "watch", "bowl").out.splitlines()
