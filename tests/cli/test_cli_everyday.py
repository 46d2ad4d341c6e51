"""What people do before and beside a search: preview, dry runs, comparisons, fields, drains, deletions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import LeaseLost
from tests.cli.command import BOWL, Command
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    file = tmp_path / "bowl.json"
    file.write_text(json.dumps(BOWL))
    return file


def test_a_dry_run_checks_with_the_server_and_creates_nothing(
    server: RunningServer, sturgeon: Command, study_file: Path
) -> None:
    ran = sturgeon("study", "create", study_file, "--name", "other", "--dry-run")
    assert ran.out.splitlines()[-1] == "It is valid. Nothing was created: this was a dry run."
    assert sturgeon("study", "create", study_file, "--dry-run", "-o", "json").json["name"] == "bowl"
    assert server.client.studies().items == []

    assert sturgeon("study", "create", study_file, "--name", "other", "-o", "json").json["name"] == "other"
    taken = sturgeon("study", "create", study_file, "--name", "other", "--dry-run")
    assert (taken.code, "exists already" in taken.err) == (1, True)
    assert [study.name for study in server.client.studies().items] == ["other"]


@pytest.mark.usefixtures("server")
def test_a_preview_shows_quantiles_shares_and_examples(sturgeon: Command, study_file: Path) -> None:
    space = study_file.with_name("space.json")
    space.write_text(json.dumps(BOWL["space"]))
    whole, alone = (
        sturgeon("study", "preview", file, "--seed", "7", "--examples", "3") for file in (study_file, space)
    )
    assert whole.out == alone.out
    header, x, y, _, _, names, *examples = whole.out.splitlines()
    assert header.split()[0] == "parameter"
    assert "50%" in header.split()
    assert x.split()[0] == "x"
    assert "0 10%, 1 10%" in y
    assert names.split() == ["x", "y"]
    assert len(examples) == 3


@pytest.mark.usefixtures("half_searched")
def test_trials_stand_side_by_side_with_what_differs(sturgeon: Command) -> None:
    lines = [line.split() for line in sturgeon("study", "compare", "bowl", "1", "0").out.splitlines()]
    assert lines[:3] == [["trial", "1", "trial", "0"], ["state", "complete", "complete"], ["loss", "0.25", "0.5"]]
    assert [one["number"] for one in sturgeon("study", "compare", "bowl", "1", "0", "-o", "json").json] == [1, 0]
    assert sturgeon("study", "compare", "bowl", "1").code == 2


@pytest.mark.usefixtures("half_searched")
def test_a_study_is_deleted_only_after_a_yes(sturgeon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "say --yes" in sturgeon("study", "delete", "bowl", "--force").err
    monkeypatch.setattr("sturgeon.cli.inputs.somebody_is_there", lambda: True)
    refused = sturgeon("study", "delete", "bowl", "--force", stdin="n\n")
    assert refused.code == 130
    assert "Delete bowl with its 4 trials and all checkpoints? [y/N]" in refused.err
    assert sturgeon("study", "delete", "bowl", "--force", stdin="y\n").out.endswith("bowl is deleted.\n")


def test_the_fields_of_a_task_have_types_ranges_and_defaults(sturgeon: Command) -> None:
    fields: dict[str, Any] = sturgeon("task-fields", "-o", "json").json
    assert fields["learning_rate"]["type"] == "float > 0, <= 100"
    assert fields["optimizer"]["default"] == "adam"
    assert fields["dataset"]["default"] == "required"
    assert fields["l2"]["use"] == "searchable, live"
    lines = sturgeon("task-fields").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(fields)
    assert sturgeon("task-fields", "beta1").out.startswith("beta1: Adam's beta of the first moment. float >= 0, < 1;")
    assert sturgeon("task-fields", "beta9").code == 2


def test_the_openapi_document_has_the_fields_of_a_task(server: RunningServer, sturgeon: Command) -> None:
    document = httpx.get(f"{server.url}/openapi.json", timeout=DEADLINE_S).json()
    described = document["components"]["schemas"]["TrainTask"]["properties"]
    assert described.keys() == sturgeon("task-fields", "-o", "json").json.keys()
    assert described["learning_rate"]["maximum"] == 100


@pytest.mark.usefixtures("half_searched")
def test_what_came_too_late_is_listed(half_searched: RunningServer, sturgeon: Command) -> None:
    half_searched.advance(seconds=4000)
    half_searched.expire_leases()
    client = half_searched.client
    client.ask("bowl", 1)
    with pytest.raises(LeaseLost):
        client.tell("bowl", 3, 1, {"loss": 0.0})
    (row,) = sturgeon("study", "late-results", "bowl").out.splitlines()[1:]
    assert row.split()[:2] == ["3", "tell"]


def test_a_worker_is_drained_by_its_name(server: RunningServer, sturgeon: Command) -> None:
    server.client.lease("of-somebody", slots=1)
    assert sturgeon("drain", "of-somebody").out.startswith("of-somebody ends when it has finished")
    assert sturgeon("workers", "-o", "json").json[0]["drain"] is True
    assert sturgeon("drain", "nobody").code == 1


def test_a_server_that_is_ready_says_so(server: RunningServer, sturgeon: Command) -> None:
    assert sturgeon("status").out == f"{server.url} is ready.\n"
    assert "sturgeon_" in sturgeon("status", "--metrics", "-o", "json").json["metrics"]
