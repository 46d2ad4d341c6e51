"""One winner, whoever names it: the recommended trial; beside it the one with the best score, which may be luck."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.cli.demo import _print_result
from sturgeon.cli.session import Session
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("W10")

DIGITS: dict[str, Any] = {
    **BOWL,
    "name": "digits",
    "metric": "dev_error",
    "reduce": "last",
    "space": {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1}},
    "budget": {"max_trials": 22},
    "task": {"kind": "train", "dataset": "digits", "epochs": 2},
}
LUCKY, MIDDLE = 20, (9, 10, 11)


def model(number: int, step: int) -> bytes:
    return f"model of trial {number} at step {step}".encode()


@pytest.fixture
def lucky(server: RunningServer) -> RunningServer:
    """`digits`: a valley whose least error is in its middle, and a lucky trial at its end. Those that may win have
    checkpoints at steps 10 (with the better value) and 20 (the last, which is told)."""
    server.client.create_study(DIGITS)
    for i in range(21):
        server.client.enqueue("digits", {"learning_rate": 0.001 + 0.00495 * i})
    tells = []
    for lease in server.client.lease("rig", slots=21).leases:
        i = lease.number
        error = 0.005 if i == LUCKY else 0.02 + ((i - 10) / 20) ** 2 + 0.01 * (-1) ** i
        for step, value in ((10, error / 2), (20, error)) if i in (3, *MIDDLE, LUCKY) else ():
            server.client.put_checkpoint("digits", i, step, model(i, step), lease.fence, value=value)
        metrics = {"dev_error": error, "test_error": error}
        tells.append({"number": i, "fence": lease.fence, "metrics": metrics, "step": 20})
    server.client.tell_many("digits", tells)
    return server


@pytest.fixture
def winner(lucky: RunningServer) -> int:
    best = lucky.client.best("digits")
    assert best.recommended is not None
    assert (best.items[0].number, best.recommended.number in MIDDLE) == (LUCKY, True)
    assert best.winner == best.recommended
    return best.recommended.number


def test_best_shows_the_recommended_trial_beside_the_best_scores(sturgeon: Command, winner: int) -> None:
    header, first, last, sentence = sturgeon("study", "best", "digits").out.splitlines()

    assert header.split() == ["trial", "dev_error", "test_error", "learning_rate"]
    assert (first.split()[0], first.rstrip().endswith("recommended")) == (str(LUCKY), False)
    assert (last.split()[0], last.rstrip().endswith("recommended")) == (str(winner), True)
    assert sentence.startswith(f"Recommended: trial {winner}. Trial {LUCKY} has the best dev_error (")
    [whole] = [one for one in sturgeon("study", "best", "digits", "-k", "21").out.splitlines() if "recommended" in one]
    assert whole.split()[0] == str(winner)


def test_json_of_best_has_the_recommendation(sturgeon: Command, lucky: RunningServer, winner: int) -> None:
    told = sturgeon("study", "best", "digits", "-o", "json").json

    assert told == lucky.client.best("digits").model_dump(mode="json")
    assert (told["items"][0]["number"], told["recommended"]["number"]) == (LUCKY, winner)


def test_export_writes_the_model_of_the_winner(sturgeon: Command, tmp_path: Path, winner: int) -> None:
    file = tmp_path / "best.npz"

    told = sturgeon("study", "export", "digits", "--model", file, "-o", "json").json

    assert file.read_bytes() == model(winner, 20)
    assert (told["number"], told["recommended"], told["best"], told["step"]) == (winner, winner, LUCKY, 20)
    said = sturgeon("study", "export", "digits", "--model", file).out
    assert f"trial {winner} of digits at step 20" in said
    assert f"Trial {LUCKY} has the best dev_error" in said


@pytest.mark.usefixtures("lucky")
def test_export_writes_the_model_of_any_trial_that_is_named(sturgeon: Command, tmp_path: Path) -> None:
    file = tmp_path / "lucky.npz"

    assert sturgeon("study", "export", "digits", "--model", file, "--trial", "3").code == 0
    assert file.read_bytes() == model(3, 20)
    assert sturgeon("study", "export", "digits", "--model", file, "--trial", str(LUCKY)).code == 0
    assert file.read_bytes() == model(LUCKY, 20)
    assert "--model FILE" in sturgeon("study", "export", "digits", "--trial", "3").err
    assert sturgeon("study", "export", "digits", "--model", file, "--trial", "99").code == 1


def test_show_and_watch_name_both(sturgeon: Command, lucky: RunningServer, winner: int) -> None:
    facts = dict(line.split("  ", 1) for line in sturgeon("study", "show", "digits").out.splitlines() if "  " in line)
    assert f"(trial {LUCKY})" in facts["best"]
    assert f"(trial {winner})" in facts["recommended"]
    assert sturgeon("study", "show", "digits", "-o", "json").json["recommended"]["number"] == winner
    lucky.client.patch_study("digits", {"state": "cancelled"})
    last = sturgeon("study", "watch", "digits").out.splitlines()[-1]
    assert f"(trial {LUCKY})" in last
    assert f", recommended dev_error {facts['recommended'].strip()}" in last


def test_the_demo_ends_with_both(
    lucky: RunningServer, winner: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_result(Session(lucky.url), lucky.client, tmp_path, 1.0)
    said = capsys.readouterr().out
    _print_result(Session(lucky.url, output="json"), lucky.client, tmp_path, 1.0)
    told = json.loads(capsys.readouterr().out)

    assert f"Recommended: trial {winner}. Trial {LUCKY} has the best dev_error" in said
    assert (told["best"][0]["number"], told["recommended"]["number"]) == (LUCKY, winner)


def test_best_ranks_pruned_trials_by_what_they_had_and_says_what_they_saved(
    sturgeon: Command, server: RunningServer, tmp_path: Path
) -> None:
    """As in the demo: nearly all were stopped, and the best five are no table of one row."""
    server.client.create_study(DIGITS | {"budget": {"max_trials": 6}})
    errors = [0.02, 0.04, 0.03, 0.06, 0.05, 0.07]
    for lease, error in zip(server.client.ask("digits", 6).leases, errors, strict=True):
        complete = lease.number in (0, 3)
        at = [{"step": 1, "epoch": 1, "metrics": {"dev_error": error}}]
        server.client.report("digits", lease.number, lease.fence, at)
        metrics = {"dev_error": error, "test_error": error}
        server.client.tell("digits", lease.number, lease.fence, metrics, "complete" if complete else "pruned")
    server.client.invalidate("digits", 2, "the labels were shifted")

    _header, *rows, saved, recommended = sturgeon("study", "best", "digits", "-k", "4").out.splitlines()

    assert [(row.split()[0], row.rstrip().endswith("pruned")) for row in rows] == [
        ("0", False),
        ("1", True),
        ("4", True),
        ("3", False),
    ]
    assert saved.startswith(
        "Pruned: 4 of 6 trials were stopped early, as unlikely to win; 6 of 12 epochs were trained."
    )
    assert recommended.startswith("Recommended: trial 0.")
    sturgeon("study", "report", "digits", "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("<td>pruned</td>") == 3 + 1, "three of the best five, and one among how trials ended"


def test_study_show_says_what_a_trials_value_is(sturgeon: Command, server: RunningServer) -> None:
    for name, own in {
        "a": {"reduce": None},
        "b": {"reduce": "last"},
        "c": {"task": None, "reduce": None},
        "d": {"task": None, "reduce": "best"},
    }.items():
        server.client.create_study(DIGITS | {"name": name} | own)
    said = {name: sturgeon("study", "show", name).out for name in "abcd"}

    assert "the best dev_error of its epochs" in said["a"]
    assert "the dev_error of its last epoch" in said["b"]
    assert "the dev_error of its last report" in said["c"]
    assert "the best dev_error of its reports" in said["d"]
