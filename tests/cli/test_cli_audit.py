"""`sturgeon audit` shows who has changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    assert newest.split()[2:] == ["local", "study.change", "bowl", "-", "-", "state;", "state=paused"]
    assert len(rest) == 2
    shown = sturgeon("audit", "--action", "trial.enqueue", "-o", "json").json
    assert [(one["trial"], one["detail"]) for one in shown] == [(0, {"fields": ["params"]})]
    assert "newest 1; --limit shows more" in sturgeon("audit", "--limit", "1").out
    assert sturgeon("audit", "--since", "2099-01-01", "-o", "json").json == []
    assert len(sturgeon("audit", "--until", "2099-01-01T10:00", "--study", "bowl", "-o", "json").json) == 3
    assert sturgeon("audit", "--since", "yesterday").code == 2
