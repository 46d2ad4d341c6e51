"""`sturgeon study diagnosis | errors | events`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import Command
from tests.server.studies import DATASET

if TYPE_CHECKING:
    from tests.running import RunningServer

DIAGNOSIS: dict[str, Any] = {
    "errors": {"train": 0.01, "dev": 0.1},
    "sizes": {"train": 1000, "dev": 200},
    "known_error": None,
    "gaps": [
        {"name": "avoidable bias", "between": ["known", "train"], "size": 0.01, "uncertainty": 0.003, "clear": True},
        {"name": "variance", "between": ["train", "dev"], "size": 0.09, "uncertainty": 0.02, "clear": True},
    ],
    "widest": "variance",
    "advice": ["Get more training examples."],
    "warnings": ["Parts differ."],
    "alarms": [],
}
ERRORS: dict[str, Any] = {
    "part": "dev",
    "examples": 200,
    "wrong": 2,
    "class_names": ["4", "9"],
    "confusion": [[100, 2], [0, 98]],
    "mistakes": [
        {"row": 7, "label": "4", "predicted": "9", "probability": 0.98, "tags": ["4 taken for 9"]},
        {"row": 8, "label": "4", "predicted": "9", "probability": 0.6, "tags": ["4 taken for 9"]},
    ],
    "categories": [{"tag": "4 taken for 9", "count": 2, "share": 1.0, "ceiling": 0.01, "error_after": 0.0}],
    "suspected": {},
}


@pytest.fixture
def diagnosed(half_searched: RunningServer) -> RunningServer:
    """`half_searched`, whose trial 3 has uploaded what it found."""
    half_searched.client.put_finding("bowl", 3, "diagnosis", 1, DIAGNOSIS)
    half_searched.client.put_finding("bowl", 3, "errors", 1, ERRORS)
    return half_searched


@pytest.mark.usefixtures("diagnosed")
def test_the_diagnosis_shows_errors_gaps_and_advice(sturgeon: Command) -> None:
    lines = [line.split() for line in sturgeon("study", "diagnosis", "bowl", "3").out.splitlines()]
    assert ["dev", "0.1", "200"] in lines
    assert ["variance", "train", "to", "dev", "0.09", "0.02", "true"] in lines
    assert lines[-2:] == [["-", "Get", "more", "training", "examples."], ["-", "Parts", "differ."]]
    assert sturgeon("study", "diagnosis", "bowl", "3", "-o", "json").json == DIAGNOSIS


@pytest.mark.usefixtures("diagnosed")
def test_the_errors_show_each_kind_with_its_cost_and_the_surest_mistakes(sturgeon: Command) -> None:
    out = sturgeon("study", "errors", "bowl", "3", "--limit", "1").out
    assert out.startswith("2 of the 200 dev examples are misclassified.\n")
    lines = [line.split() for line in out.splitlines()]
    assert ["4", "taken", "for", "9", "2", "0.01"] in lines
    assert lines[-1] == ["7", "4", "9", "0.98"]
    assert sturgeon("study", "errors", "bowl", "3", "-o", "json").json["mistakes"] == ERRORS["mistakes"]


@pytest.mark.usefixtures("half_searched")
@pytest.mark.parametrize("command", ["diagnosis", "errors"])
def test_a_trial_that_has_uploaded_nothing_is_told_in_a_sentence(sturgeon: Command, command: str) -> None:
    ran = sturgeon("study", command, "bowl", "0")
    assert ran.code == 1
    assert "trial 0" in ran.err.lower()
    assert ran.err.count("\n") == 1


def test_a_diagnosis_of_another_form_is_shown_as_it_is(sturgeon: Command, half_searched: RunningServer) -> None:
    half_searched.client.put_finding("bowl", 3, "diagnosis", 1, {"mine": 1})
    assert sturgeon("study", "diagnosis", "bowl", "3").json == {"mine": 1}


@pytest.mark.usefixtures("half_searched")
def test_events_are_listed_newest_last_by_kind_and_at_most_so_many(sturgeon: Command) -> None:
    for command in (("study", "pause", "bowl"), ("trial", "requeue", "bowl", "2"), ("study", "resume", "bowl")):
        assert sturgeon(*command).code == 0
    told = sturgeon("study", "events", "bowl", "-o", "json").json
    assert [event["kind"] for event in told] == ["failed", "state", "requeued", "state"]
    found = sturgeon("study", "events", "bowl", "--kind", "state", "--limit", "1", "-o", "json").json
    assert found == told[-1:]
    header, *rows = sturgeon("study", "events", "bowl").out.splitlines()
    assert header.split() == ["at", "trial", "event", "by", "detail"]
    told = [row.split()[2:5] for row in rows]
    assert told[:2] == [["2", "failed", "local"], ["-", "state", "local"]]
    assert told[2:] == [["2", "requeued", "local"], ["-", "state", "local"]]


@pytest.mark.fault("W5")
def test_the_dataset_shows_what_the_data_were_read_as(half_searched: RunningServer, sturgeon: Command) -> None:
    missing = sturgeon("study", "dataset", "bowl", "3")
    assert (missing.code, "Trial 3 has no summary of its data" in missing.err) == (1, True)
    summary = DATASET | {"missing": 3, "constant": ["column 'flat'"], "constant_count": 1}
    half_searched.client.put_finding("bowl", 3, "dataset", 1, summary)
    lines = [line.split() for line in sturgeon("study", "dataset", "bowl", "3").out.splitlines()]
    assert lines[0] == ["csv:t.csv:", "60", "rows,", "2", "columns,", "2", "classes."]
    assert ["dog", "20"] in lines
    assert lines[-4:] == [
        ["parts:", "train", "48,", "dev", "12"],
        ["missing", "labels:", "3"],
        ["dropped", "columns:", "column", "1"],
        ["constant", "columns", "(1):", "column", "'flat'"],
    ]
    assert sturgeon("study", "dataset", "bowl", "3", "-o", "json").json == summary
