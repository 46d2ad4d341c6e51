"""The pages of one trial and around it: they answer, hold no data of studies, and say what is not there."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from server.dashboard.fields import live_fields
from sturgeon.training import TrainTask, field_problem, flagged

PAGES = {
    "/studies/digits/trials/3": ("trial.js", 'data-study="digits" data-number="3"'),
    "/studies/digits/drift/0": ("drift.js", 'data-study="digits" data-number="0"'),
    "/studies/digits/compare?trials=3,7": ("compare_trials.js", 'data-study="digits"'),
    "/compare?studies=a,b": ("compare_studies.js", 'data-study=""'),
    "/workers": ("workers.js", "<h1>Workers</h1>"),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_its_module_and_nothing_of_what_is_stored(http: httpx.Client, path: str) -> None:
    module, mark = PAGES[path]
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'<script type="module" src="/static/js/pages/{module}"></script>' in answer.text
    assert mark in answer.text
    assert http.get(f"/static/js/pages/{module}").status_code == 200


@pytest.mark.parametrize("number", ["abc", "-1", "1.5", "٣", "9999999999", "%3Cscript%3E"])
def test_an_address_of_no_trial_is_a_page_that_leads_back(http: httpx.Client, number: str) -> None:
    for page in ("trials", "drift"):
        answer = http.get(f"/studies/digits/{page}/{number}")
        assert answer.status_code == 404
        assert '<a href="/">All studies</a>' in answer.text
        assert "<script>" not in answer.text


def test_a_study_name_that_is_none_never_gets_into_a_page(http: httpx.Client) -> None:
    for path in ("trials/1", "drift/1", "compare"):
        assert http.get(f"/studies/%22%3E%3Cimg%20src=x%3E/{path}").status_code == 422


def test_the_knobs_know_all_live_fields_with_their_bounds(http: httpx.Client) -> None:
    fields: dict[str, Any] = http.get("/fields/live.json").json()
    assert list(fields) == list(flagged("live"))
    assert fields["learning_rate"]["range"] == "more than 0, at most 100"
    assert fields["schedule"]["values"][:2] == ["constant", "inverse_time"]
    assert fields["match_labels"]["values"] == [True, False]
    assert fields["keep_prob"]["range"] == "more than 0, at most 1; or a list"
    assert json.loads(json.dumps(live_fields())) == fields


@pytest.mark.parametrize("name", flagged("live"))
def test_a_default_and_each_choice_of_a_knob_is_one_that_the_trainer_takes(name: str) -> None:
    field = live_fields()[name]
    assert field["default"] == TrainTask.model_fields[name].default
    assert [field_problem(name, value) for value in (field["default"], *field.get("values", []))] == [
        None for _ in (0, *field.get("values", []))
    ]
    assert field["range"] or field["values"]
