"""Tables fit the terminal: no value is folded, columns are left out, and --wide shows all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sturgeon.cli.following import Follower
from sturgeon.cli.tables import facts, fit
from sturgeon.cli.watch import picture
from tests.cli.command import Command

if TYPE_CHECKING:
    from tests.running import RunningServer

WIDTHS = (60, 80, 120)
REASON = "ValueError: the file /data/of/somebody/with/a/long/name.csv has no column that is named target"
SPACE = {
    f"parameter_{name}": {"type": "float", "low": 0.001, "high": 1} for name in ("alpha", "beta", "gamma", "delta")
}


@pytest.fixture
def wide_study(server: RunningServer) -> RunningServer:
    """`wide`, with four parameters of long names: trial 0 has a result, trial 1 failed for a long reason, 2 runs."""
    client = server.client
    client.create_study({"name": "wide", "metric": "loss", "space": SPACE, "budget": {"max_trials": 9}})
    fences = {lease.number: lease.fence for lease in client.ask("wide", 3, worker="a-worker-of-somebody").leases}
    client.tell("wide", 0, fences[0], {"loss": 0.5, "other_loss": 0.25})
    client.tell("wide", 1, fences[1], state="failed", error=REASON)
    return server


@pytest.mark.usefixtures("wide_study")
def test_no_line_is_wider_than_the_window(sturgeon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("best", "wide"), ("trials", "wide"), ("list",), ("show", "wide"), ("events", "wide")):
        monkeypatch.delenv("COLUMNS", raising=False)
        unlimited = sturgeon("study", *command).out
        for columns in WIDTHS:
            monkeypatch.setenv("COLUMNS", str(columns))
            narrow, whole = sturgeon("study", *command).out, sturgeon("study", *command, "--wide").out

            shown, _, said = narrow.partition("Not shown for want of room")
            table = [line for line in shown.splitlines() if not line.startswith("Recommended")]
            assert max(map(len, [*table, *said.partition("Recommended")[0].splitlines()])) <= columns
            values = set(unlimited.split())
            assert all(word in values or word.endswith("…") for line in table for word in line.split())
            assert [line.split() for line in whole.splitlines()] == [line.split() for line in unlimited.splitlines()]


@pytest.mark.usefixtures("wide_study")
def test_the_columns_that_are_left_out_are_named(sturgeon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    table, sentence, rest = sturgeon("study", "trials", "wide").out.partition("Not shown for want of room: ")
    header, said = table.splitlines()[0], sentence + " ".join(rest.split())
    assert header.split()[:3] == ["trial", "state", "loss"]
    left_out = said.removeprefix("Not shown for want of room: ").removesuffix(" (--wide shows all).").split(", ")
    assert {"worker", "drawn"} <= set(left_out)
    assert set(left_out).isdisjoint(header.split())


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_picture_of_a_study_is_whole_in_a_narrow_window(
    wide_study: RunningServer, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    console = Console(width=columns, color_system=None)
    with console.capture() as captured:
        console.print(picture(next(iter(Follower(wide_study.client, "wide", detailed=3)))))
    lines = captured.get().splitlines()
    assert sum("━" in line or "╺" in line for line in lines) == 1
    assert max(map(len, lines)) <= columns
    assert any(line.split()[:2] == ["1", "ValueError:"] for line in lines)


def test_watch_says_why_a_trial_failed_and_that_no_worker_is_there(
    server: RunningServer, sturgeon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.client
    task = {"kind": "command", "argv": ["true", "{parameter_beta}"]}
    client.create_study({"name": "idle", "metric": "loss", "space": SPACE, "budget": {"max_trials": 2}, "task": task})

    def fail_and_stop(_seconds: float) -> None:
        if client.study("idle").counts.get("failed"):
            client.patch_study("idle", {"state": "cancelled"})
            return
        (lease,) = client.ask("idle", 1).leases
        client.tell("idle", lease.number, lease.fence, state="failed", error=f"Traceback ..\n{REASON}")

    monkeypatch.setattr("sturgeon.cli.watch.Follower", partial(Follower, sleep=fail_and_stop))
    first, second, *rest = sturgeon("study", "watch", "idle").out.splitlines()
    assert first.startswith("idle is active: 0 of 2 trials done")
    assert second.startswith("No worker is there; start one with `sturgeon worker")
    assert f"trial 0: failed: {REASON}" in rest


def test_the_least_important_columns_go_first() -> None:
    columns, widths = ("trial", "loss", "x", "note", "by"), (5, 6, 4, 40, 10)
    assert fit(columns, widths, 100).shown == [0, 1, 2, 3, 4]
    narrow = fit(columns, widths, 45, prose=("note",), last=("by",))
    assert (narrow.shown, narrow.left_out) == ([0, 1, 2, 3], ["by"])
    assert sum(narrow.widths) + 3 * 2 == 45
    assert fit(columns, widths, 20, keep=("loss", "by")).left_out == ["x", "note"]
    assert fit(columns, widths, 1, keep=("loss",)).shown == [0, 1]
    assert fit(columns, widths, 60, empty=(3,)).left_out == []


def test_facts_go_on_in_the_next_line_between_two_words() -> None:
    assert facts([("goal", "minimize it"), ("with", "alpha=0.5, beta=0.25")], 18) == [
        "goal  minimize it",
        "with  alpha=0.5,",
        "      beta=0.25",
    ]
