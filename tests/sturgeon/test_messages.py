"""Requests are strict, answers are lenient: an older client works with a newer server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from sturgeon import messages
from sturgeon.errors import Problem, problem_classes
from sturgeon.messages import (
    LARGEST_SEED,
    AskRequest,
    Held,
    LeaseRequest,
    ReportRequest,
    Request,
    StudyRequest,
    TellManyRequest,
    TellRequest,
)

STUDY = {
    "name": "bowl",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": 3},
}


def every_subclass(cls: type[BaseModel]) -> set[type[BaseModel]]:
    return {sub for one in cls.__subclasses__() for sub in {one, *every_subclass(one)}}


def sentence_of(model: type[BaseModel], **body: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(json.dumps(body))
    return str(refused.value.errors()[0]["msg"])


def test_defaults_of_a_study_are_those_of_the_design() -> None:
    study = StudyRequest.model_validate_json(json.dumps(STUDY))

    assert study.model_dump(exclude={"space"}) == {
        "name": "bowl",
        "title": "",
        "metric": "loss",
        "direction": "minimize",
        "reduce": None,
        "search": {
            "sampler": "coarse_to_fine",
            "model": None,
            "cost_aware": None,
            "points": None,
            "seed": None,
            "replicates": 1,
        },
        "pruning": {"rule": None, "eta": None, "grace": None, "power": None, "epochs": None},
        "budget": {"max_trials": 3, "max_epochs": None, "max_seconds": None, "stop_when": None},
        "task": None,
        "needs": {"gpus": 0, "memory_gb": None, "labels": []},
        "mode": "caviar",
        "params": None,
        "policies": [],
        "constraints": [],
        "tags": [],
        "notes": "",
        "code_version": None,
    }


def test_an_unknown_field_is_refused_with_the_known_ones_and_a_near_one() -> None:
    assert sentence_of(AskRequest, cuont=1) == (
        "unknown field; did you mean count? the fields are count, worker, lease_s, code_version"
    )


@pytest.mark.parametrize("request_model", sorted(every_subclass(Request), key=str), ids=lambda m: m.__name__)
def test_every_request_refuses_unknown_fields_and_guesses_no_types(request_model: type[Request]) -> None:
    assert request_model.model_config["extra"] == "forbid"
    assert request_model.model_config["strict"] is True


@pytest.mark.parametrize(
    "answer", [messages.Study, messages.Trial, messages.Leases, messages.Worker], ids=lambda m: m.__name__
)
def test_answers_ignore_what_a_newer_server_adds(answer: type[BaseModel]) -> None:
    assert answer.model_config["extra"] == "ignore"


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (AskRequest, {"count": 0}),
        (AskRequest, {"count": 1001}),
        (AskRequest, {"count": True}),
        (AskRequest, {"count": 1.5}),
        (AskRequest, {"count": "1"}),
        (AskRequest, {"lease_s": 9}),
        (AskRequest, {"lease_s": 604_801}),
        (AskRequest, {"worker": ""}),
        (AskRequest, {"worker": "w" * 201}),
        (AskRequest, {"worker": "nul\0"}),
        (LeaseRequest, {"worker": "w", "slots": 1001}),
        (LeaseRequest, {"worker": "w", "wait": 30.1}),
        (LeaseRequest, {"worker": "w", "wait": -1}),
        (LeaseRequest, {}),
        (Held, {"study": "s", "number": -1, "fence": 1}),
        (Held, {"study": "s", "number": 0, "fence": 0}),
        (Held, {"study": "s", "number": 0, "fence": 2**31}),
        (Held, {"study": "-s", "number": 0, "fence": 1}),
        (TellRequest, {"fence": 1, "state": "running"}),
        (TellRequest, {"fence": 1, "state": "cancelled"}),
        (TellRequest, {"fence": 1, "metrics": {"loss": True}}),
        (TellRequest, {"fence": 1, "metrics": {"loss": "1"}}),
        (TellRequest, {"fence": 1, "metrics": {"a = loss": 1}}),
        (TellRequest, {"fence": 1, "metrics": {f"m{i}": 1 for i in range(301)}}),
        (TellRequest, {"fence": 1, "step": 2**53 + 1}),
        (TellRequest, {"fence": 1, "error": "e" * 10_001}),
        (TellManyRequest, {"tells": []}),
        (ReportRequest, {"fence": 1, "reports": [{"step": -1, "metrics": {}}]}),
        (ReportRequest, {"fence": 1, "reports": [{"step": 0, "epoch": -1, "metrics": {}}]}),
        (ReportRequest, {"fence": 1, "reports": [{"step": 0}]}),
        (StudyRequest, STUDY | {"name": ""}),
        (StudyRequest, STUDY | {"name": "../etc"}),
        (StudyRequest, STUDY | {"name": "n" * 101}),
        (StudyRequest, STUDY | {"name": "bowl\n"}),
        (StudyRequest, STUDY | {"metric": "dev error "}),
        (StudyRequest, STUDY | {"direction": "down"}),
        (StudyRequest, STUDY | {"budget": {"max_trials": 0}}),
        (StudyRequest, STUDY | {"budget": {"max_trials": 1_000_001}}),
        (StudyRequest, STUDY | {"search": {"sampler": "annealing"}}),
        (StudyRequest, STUDY | {"search": {"seed": -1}}),
        (StudyRequest, STUDY | {"search": {"seed": LARGEST_SEED + 1}}),
    ],
    ids=lambda x: str(x)[:60],
)
def test_what_is_out_of_bounds_is_refused(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate_json(json.dumps(body))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_metric_is_infinite(number: str) -> None:
    with pytest.raises(ValidationError):
        TellRequest.model_validate_json(f'{{"fence": 1, "metrics": {{"loss": {number}}}}}')


def test_a_metric_that_is_not_finite_is_null() -> None:
    tell = TellRequest.model_validate_json('{"fence": 1, "state": "diverged", "metrics": {"loss": null, "a": 1}}')

    assert tell.metrics == {"loss": None, "a": 1.0}


def test_every_problem_has_a_code_of_its_own_and_a_sentence() -> None:
    classes = problem_classes()

    assert len(classes) == len(set(classes.values())) == len(_tree(Problem))
    assert all(cls().message.endswith((".", "`.")) for cls in classes.values())
    assert all(400 <= cls.status < 600 for cls in classes.values())


def _tree(cls: type[Problem]) -> set[type[Problem]]:
    return {cls} | {sub for one in cls.__subclasses__() for sub in _tree(one)}
