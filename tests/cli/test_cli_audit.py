"""`sturgeon audit` shows who has changed what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import Command
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_the_audit_trail_is_a_table_that_can_be_narrowed_down(server: RunningServer, sturgeon: Command) -> None:
    server.client.create_study(BOWL)
    server.client.enqueue("bowl", {"x": 0.5, "n": 1})
    server.client.patch_study("bowl", {"state": "paused"})

    header, newest, *rest = sturgeon("audit").out.splitlines()
    assert header.split() == ["at", "actor", "action", "study", "trial", "target", "what"]
    assert newest.split()[2:] == ["local", "study.change", "bowl", "-", "-", "state=paused"]
    assert len(rest) == 2
    shown = sturgeon("audit", "--action", "trial.enqueue", "-o", "json").json
    assert [(one["trial"], one["detail"]) for one in shown] == [(0, {"fields": ["params"]})]
    assert "newest 1; --limit shows more" in sturgeon("audit", "--limit", "1").out
    assert sturgeon("audit", "--since", "2099-01-01", "-o", "json").json == []
    assert len(sturgeon("audit", "--until", "2099-01-01T10:00", "--study", "bowl", "-o", "json").json) == 3
    assert sturgeon("audit", "--since", "yesterday").code == 2


def test_times_of_the_audit_trail_are_those_of_its_table_or_have_a_zone(
    server: RunningServer, sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.create_study(BOWL)
    [entry] = server.client.audit().items
    monkeypatch.setenv("TZ", "XXX-5:30")
    time.tzset()
    try:
        printed = " ".join(sturgeon("audit").out.splitlines()[1].split()[:2])
        exact = entry.at.isoformat().replace("+00:00", "Z")
        for since in (printed, printed.replace(" ", "T"), exact):
            assert len(sturgeon("audit", "--since", since, "-o", "json").json) == 1, since
            assert sturgeon("audit", "--until", since.replace(printed[:4], "2001"), "-o", "json").json == []
        earlier = f"{entry.at:%Y-%m-%dT%H:%M:%S}"  # as if it were local: five and a half hours ago
        assert sturgeon("audit", "--until", earlier, "-o", "json").json == []
    finally:
        monkeypatch.undo()
        time.tzset()
