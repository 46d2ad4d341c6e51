"""The session of docs/own-code.md, as it is written there, with a real server and the workers that it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sturgeon.client import Client
from tests.processes import ServerProcess
from tests.system.readme import ROOT, blocks, run

SESSION = (ROOT / "docs" / "own-code.md").read_text(encoding="utf-8").partition("## A session")[2]
END_ALL = "trap 'kill $(jobs -p); wait' EXIT\n"


def test_the_session_of_a_steered_loop_works_as_written(
    tmp_path: Path, server_process: Callable[..., ServerProcess], forked_commands: str
) -> None:
    server = server_process()
    script = END_ALL + "\n".join(blocks(SESSION)).replace("http://127.0.0.1:8000", server.url)
    run(script, tmp_path, STURGEON_SERVER=server.url, PATH=forked_commands)

    with Client(server.url) as client:
        entries = client.timeline("loop", 0).items
        assert [(one.verb, one.state) for one in entries] == [
            ("params", "applied"),
            ("pause", "applied"),
            ("resume", "applied"),
            ("checkpoint", "applied"),
            ("params", "reverted"),
            ("rollback", "applied"),
            ("stop", "applied"),
        ]
        kept = entries[5].restore
        assert kept == entries[3].checkpoint
        assert_the_weights_are_those_of_the_schedule(client, entries[0].from_step, kept)


def assert_the_weights_are_those_of_the_schedule(client: Client, changed: int | None, kept: int | None) -> None:
    """Each value of the curves follows from the rates that were in force: nothing was lost or trained twice."""
    assert changed is not None
    assert kept is not None
    weight = 5.0
    at: dict[int, float] = {}
    for epoch in range(1, kept + 21):
        weight -= (0.001 if epoch <= changed else 0.01) * 2 * weight
        at[epoch] = weight**2
    counted = [one for one in client.trial_metrics("loop", 0).items if not one.left]
    assert [one.step for one in counted] == list(range(1, len(counted) + 1))
    for one in counted[:kept]:
        assert one.metrics["loss"] == pytest.approx(at[one.step], rel=1e-9), one
    for number, rate in ((1, 0.1), (2, 0.2)):
        trial = client.trial("loop", number)
        assert (trial.step, trial.parent and trial.parent.step) == (kept + 20, kept)
        assert trial.value == pytest.approx(at[kept] * (1 - 2 * rate) ** 40, rel=1e-9)
    assert counted[kept].metrics["loss"] == pytest.approx(at[kept] * (1 - 2 * 0.02) ** 2, rel=1e-9)
