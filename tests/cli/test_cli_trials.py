"""`sturgeon study best | trials | export`, and `sturgeon trial requeue`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_best_shows_value_and_params_best_first(sturgeon: Command, half_searched: RunningServer) -> None:
    header, first, second, recommended = sturgeon("study", "best", "bowl", "-k", "5").out.splitlines()
    assert recommended.startswith("Recommended: trial 1. Trial 1 has the best loss of those in ")
    assert header.split() == ["trial", "loss", "x", "y"]
    assert first.split()[:2] == ["1", "0.25"]
    assert second.split()[:2] == ["0", "0.5"]
    told = sturgeon("study", "best", "bowl", "-k", "5", "-o", "json").json
    assert told == half_searched.client.best("bowl", 5).model_dump(mode="json")


@pytest.mark.usefixtures("new_study")
def test_best_of_a_study_without_results_says_so(sturgeon: Command) -> None:
    ran = sturgeon("study", "best", "bowl")
    assert (ran.code, ran.err) == (1, "sturgeon: No trial of bowl has a result yet.\n")
    assert sturgeon("study", "best", "bowl", "-o", "json").json["items"] == []


@pytest.mark.usefixtures("half_searched")
@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), [0, 1, 2, 3]),
        (("--state", "running"), [3]),
        (("--sort", "value"), [1, 0, 2, 3]),
        (("--sort=-finished_at", "--limit", "2"), [2, 1]),
    ],
)
def test_trials_are_filtered_sorted_and_limited(
    sturgeon: Command, options: tuple[str, ...], numbers: list[int]
) -> None:
    assert [t["number"] for t in sturgeon("study", "trials", "bowl", *options, "-o", "json").json] == numbers
    lines = sturgeon("study", "trials", "bowl", *options).out.splitlines()
    page = "These are 2 of 4 trials: --limit shows more, and `sturgeon study export bowl` has all."
    assert [int(line.split()[0]) for line in lines[1:] if line != page] == numbers
    assert (lines[-1] == page) == ("--limit" in options)


@pytest.mark.usefixtures("half_searched")
def test_the_table_of_trials_says_why_one_failed(sturgeon: Command) -> None:
    header, *rows = sturgeon("study", "trials", "bowl").out.splitlines()
    assert header.split() == ["trial", "state", "loss", "took", "worker", "drawn", "note", "x", "y"]
    assert rows[1].split()[:5] == ["1", "complete", "0.25", "1.0", "s"]
    assert "laptop" in rows[2]
    assert "ValueError: no disk" in rows[2]


@pytest.mark.usefixtures("new_study")
def test_a_wrong_sort_key_is_refused_with_the_keys(sturgeon: Command) -> None:
    ran = sturgeon("study", "trials", "bowl", "--sort", "colour")
    assert ran.code == 1
    assert "finished_at" in ran.err


def test_a_failed_trial_is_queued_again_and_a_complete_one_is_not(
    sturgeon: Command, half_searched: RunningServer
) -> None:
    ran = sturgeon("trial", "requeue", "bowl", "2")
    assert (ran.code, ran.out) == (0, "Trial 2 of bowl is queued.\n")
    assert half_searched.client.trial("bowl", 2).state == "queued"
    refused = sturgeon("trial", "requeue", "bowl", "1", "-o", "json")
    assert (refused.code, refused.out) == (1, "")


@pytest.mark.usefixtures("half_searched")
def test_export_writes_csv_to_standard_output(sturgeon: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(sturgeon("study", "export", "bowl").out)))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["state"] for row in rows] == ["complete", "complete", "failed", "running"]


@pytest.mark.usefixtures("half_searched")
def test_export_writes_ndjson_and_json_of_the_same_trials(sturgeon: Command) -> None:
    lines = sturgeon("study", "export", "bowl", "--format", "ndjson").out.splitlines()
    trials = [json.loads(line) for line in lines]
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert sturgeon("study", "export", "bowl", "--format", "json").json == trials
    assert sturgeon("study", "export", "bowl", "-o", "json").json == trials


@pytest.mark.usefixtures("new_study")
def test_export_of_no_trials_is_an_empty_array(sturgeon: Command) -> None:
    assert sturgeon("study", "export", "bowl", "--format", "json").json == []


@pytest.mark.usefixtures("half_searched")
@pytest.mark.parametrize("options", [(), ("--curves",), ("--format", "csv")])
def test_export_into_a_file_says_in_json_what_was_written(
    sturgeon: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "table"
    told = sturgeon("study", "export", "bowl", "-o", "json", "-O", file, *options).json
    chosen = "csv" if "csv" in options else "json"
    assert told == {"study": "bowl", "file": str(file), "format": chosen, "size": file.stat().st_size}


@pytest.mark.usefixtures("half_searched")
def test_export_writes_a_file_and_leaves_an_old_one_alone_when_refused(sturgeon: Command, tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    assert sturgeon("study", "export", "bowl", "-O", file).code == 0
    assert file.read_text() == sturgeon("study", "export", "bowl").out
    before = file.read_text()
    assert sturgeon("study", "export", "nothing", "-O", file).code == 1
    assert file.read_text() == before
    nowhere = sturgeon("study", "export", "bowl", "-O", tmp_path / "no" / "trials.csv")
    assert (nowhere.code, len(nowhere.err.splitlines())) == (1, 1)


@pytest.fixture
def with_checkpoints(server: RunningServer) -> RunningServer:
    """`nets`: trial 0 at dev_error 0.1; trial 1, the best, with checkpoints at steps 10 (better) and 20."""
    task = {"kind": "train", "dataset": "iris", "epochs": 2}
    space = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "scale": "log"}}
    server.client.create_study({**BOWL, "name": "nets", "metric": "dev_error", "space": space, "task": task})
    first, second = server.client.lease("rig", slots=2).leases
    for step, value in ((10, 0.02), (20, 0.05)):
        data = f"model of step {step}".encode()
        server.client.put_checkpoint("nets", second.number, step, data, second.fence, value=value)
    server.client.tell("nets", first.number, first.fence, {"dev_error": 0.1})
    server.client.tell("nets", second.number, second.fence, {"dev_error": 0.05, "test_error": 0.06})
    return server


@pytest.mark.usefixtures("with_checkpoints")
def test_export_model_writes_the_best_checkpoint_of_the_best_trial(sturgeon: Command, tmp_path: Path) -> None:
    file = tmp_path / "best.npz"
    ran = sturgeon("study", "export", "nets", "--model", file, "-o", "json")
    assert file.read_bytes() == b"model of step 10"
    assert ran.json == {
        "study": "nets",
        "number": 1,
        "value": 0.05,
        "step": 10,
        "recommended": 1,
        "best": 1,
        "file": str(file),
        "size": 16,
        "sha256": hashlib.sha256(b"model of step 10").hexdigest(),
    }
    assert list(tmp_path.glob(".best*")) == []


@pytest.mark.usefixtures("with_checkpoints")
def test_errors_of_the_train_task_are_shown_as_per_cent(sturgeon: Command) -> None:
    header, best, _ = sturgeon("study", "best", "nets").out.splitlines()
    assert header.split()[:3] == ["trial", "dev_error", "test_error"]
    assert best.split()[:5] == ["1", "5.00", "%", "6.00", "%"]


@pytest.mark.usefixtures("half_searched")
def test_export_model_without_checkpoints_says_so(sturgeon: Command, tmp_path: Path) -> None:
    ran = sturgeon("study", "export", "bowl", "--model", tmp_path / "best.npz")
    why = "Trial 1 of bowl has no checkpoint; --trial takes that of another trial."
    assert (ran.code, ran.err) == (1, f"sturgeon: {why}\n")
    assert not (tmp_path / "best.npz").exists()
