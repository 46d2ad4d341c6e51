"""A study that cannot be is refused at its creation, in a sentence that names the field and the choices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import NotFound
from tests.server.studies import BOWL, DIGITS, NOT_VALID, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

Both = tuple[httpx.Client, httpx.Client]
RATE = {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}


def task(**changes: Any) -> dict[str, Any]:
    return {"task": DIGITS["task"] | changes}


def fixed(**values: Any) -> dict[str, Any]:
    return task(fixed=values)


def space(**parameters: Any) -> dict[str, Any]:
    return {"space": parameters}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"metrc": 1}, "/metrc", "metrc: unknown field; did you mean metric? the fields are name, title, metric, "),
    (
        {"search": {"smapler": "random"}},
        "/search/smapler",
        "search.smapler: unknown field; did you mean sampler? the fields are sampler, model, cost_aware, points, seed",
    ),
    ({"direction": "down"}, "/direction", "direction: it should be 'minimize' or 'maximize'"),
    ({"budget": {"max_trials": 0}}, "/budget/max_trials", "budget.max_trials: it should be greater than or equal to 1"),
    ({"budget": {}}, "/budget/max_trials", "budget.max_trials: it is missing"),
    (
        space(learning_rate=RATE | {"scale": "logarithmic"}),
        "/space/learning_rate/scale",
        "space.learning_rate.scale: it should be 'linear', 'log', 'one_minus_log' or 'logit'",
    ),
    (
        space(learning_rate=RATE | {"type": "uniform"}),
        "/space/learning_rate/type",
        "space.learning_rate.type: it should be one of 'float', 'int', 'choice', 'fixed'",
    ),
    (
        space(learning_rate={"low": 0, "high": 1}),
        "/space/learning_rate/type",
        "space.learning_rate.type: it is missing",
    ),
    (
        space(learning_rate=RATE | {"log": True}),
        "/space/learning_rate/log",
        "space.learning_rate.log: unknown field; did you mean low? the fields are when, type, low, high, scale",
    ),
    (
        space(learning_rate=RATE | {"low": 1}),
        "/space/learning_rate",
        "learning_rate: low must be less than high; got low 1.0 and high 1.0; for this value alone, write "
        '{"type": "fixed", "value": 1.0}',
    ),
    (
        space(learning_rate=RATE | {"low": 0}),
        "/space/learning_rate",
        "learning_rate: a log scale starts above 0: write a low greater than 0, or scale linear",
    ),
    (space(learning_rate=[0.1, 1]), "/space/learning_rate", "space.learning_rate: write an object: names with values"),
    ({"budget": 3}, "/budget", "budget: write an object: names with values"),
    (
        space(learning_rate=RATE | {"low": "0.1"}),
        "/space/learning_rate/low",
        "space.learning_rate.low: write a valid number",
    ),
    (
        space(learning_rate=RATE | {"when": {"optimiser": ["adam"]}}),
        "/space/learning_rate/when/optimiser",
        "learning_rate: when names 'optimiser', which is no parameter of this space; its parameters are learning_rate",
    ),
    ({"metric": "dev,error"}, "/metric", "metric: write at most 100 letters (A to Z), digits and signs, blanks"),
    ({"metric": "größe"}, "/metric", "metric: write at most 100 letters (A to Z), digits and signs, blanks"),
    ({"name": "my study"}, "/name", "name: write at most 100 letters (A to Z), digits and . _ -, the first one a"),
    (
        {"task": {"kind": "python", "call": "train.run"}},
        "/task/call",
        'task.call: write "module:function", for example "train:run"',
    ),
    (
        {"task": {"kind": "command", "argv": ["a"], "env": {"A-B": "1"}}},
        "/task/env/A-B",
        "task.env.A-B: write at most 200 letters (A to Z), digits and _, the first one no digit",
    ),
    (
        {"metric": "test_error"},
        "/metric",
        "metric: write one of dev_error, dev_loss, train_error, train_loss, train_dev_error; "
        "the search never reads the test part",
    ),
    (task(kind="comand"), "/task/kind", "task.kind: it should be one of 'train', 'command', 'python'"),
    (task(dataset="mnist"), "/task/dataset", "dataset must be one of digits, "),
    (task(dataset="npz:../secret"), "/task/dataset", "dataset must be one of digits, "),
    (task(epochs=0), "/task/epochs", "task.epochs: it should be greater than or equal to 1"),
    (
        fixed(hiden_units=4),
        "/task/fixed/hiden_units",
        "unknown trainer option 'hiden_units'; did you mean hidden_units? ",
    ),
    (fixed(optimizer="sgd"), "/task/fixed/optimizer", "optimizer must be one of gradient_descent, momentum, "),
    (fixed(keep_prob=0), "/task/fixed/keep_prob", "keep_prob must be a number greater than 0 and at most 1"),
    (fixed(epochs=4), "/task/fixed/epochs", "epochs: write it beside fixed, not in it"),
    (
        fixed(learning_rate=0.1),
        "/task/fixed/learning_rate",
        "learning_rate: it is in the space too; write it in one place",
    ),
    (
        space(learning_rat=RATE),
        "/space/learning_rat",
        "unknown trainer option 'learning_rat'; did you mean learning_rate? ",
    ),
    (
        space(learning_rate=RATE | {"high": 1e6}),
        "/space/learning_rate",
        "learning_rate must be a number greater than 0 and at most 100",
    ),
    (
        space(dataset={"type": "choice", "values": ["digits", "iris"]}),
        "/space/dataset",
        "dataset is not a hyperparameter that a space may vary; these are: ",
    ),
]


@pytest.mark.parametrize(("changes", "pointer", "sentence"), REFUSED, ids=[pointer for _, pointer, _ in REFUSED])
def test_a_study_that_cannot_be_is_refused_by_name(
    both_kinds: Both, changes: dict[str, Any], pointer: str, sentence: str
) -> None:
    for http in both_kinds:
        answer = http.post("/v1/studies", json=DIGITS | changes)

        assert refusal(answer) in NOT_VALID
        error = answer.json()["errors"][0]
        assert error["pointer"] == pointer
        assert error["detail"].startswith(sentence), error["detail"]
        assert error["detail"].rstrip(".") in answer.json()["detail"]
        assert http.get("/v1/studies/digits").status_code == 404


UNDEFINED: list[tuple[dict[str, Any], str, str]] = [
    (fixed(dev_share=0) | {"metric": "dev_error"}, "/metric", "dev_error needs a dev part: write a dev_share above 0"),
    (fixed(dev_share=0.0) | {"metric": "dev_loss"}, "/metric", "dev_loss needs a dev part"),
    (
        task(dataset="csv:t.csv", fixed={"dev_share": 0}) | {"metric": "dev_loss"},
        "/metric",
        "dev_loss needs a dev part",
    ),
    ({"metric": "train_dev_error"}, "/metric", "train_dev_error needs a train-dev part: write train_dev_share"),
    (task(dataset="stream:s") | {"metric": "train_dev_error"}, "/metric", "a stream has no train-dev part"),
    (
        space(learning_rate=RATE, dev_share={"type": "fixed", "value": 0}) | {"metric": "dev_error"},
        "/metric",
        "dev_error needs a dev part",
    ),
    (
        {"budget": {"max_trials": 4, "stop_when": {"metric": "train_dev_error", "below": 0.1}}},
        "/budget/stop_when/metric",
        "train_dev_error needs a train-dev part",
    ),
    (
        {"budget": {"max_trials": 4, "stop_when": {"metric": "accuracy", "above": 1}}},
        "/budget/stop_when/metric",
        "of dev",
    ),
]


@pytest.mark.fault("W6")
@pytest.mark.parametrize(("changes", "pointer", "sentence"), UNDEFINED, ids=[said for _, _, said in UNDEFINED])
def test_a_metric_that_its_task_leaves_undefined_is_refused(
    both_kinds: Both, changes: dict[str, Any], pointer: str, sentence: str
) -> None:
    for http in both_kinds:
        answer = http.post("/v1/studies", json=DIGITS | changes)
        assert refusal(answer) == (409, "contradiction")
        error = answer.json()["errors"][0]
        assert (error["pointer"], sentence in error["detail"]) == (pointer, True), error


@pytest.mark.fault("W6")
def test_what_a_patch_leaves_undefined_is_refused_as_at_the_creation(both_kinds: Both) -> None:
    rate = DIGITS["space"]
    goal = {"budget": {"stop_when": {"metric": "train_dev_error", "below": 0.1}}}
    no_dev_part = {"space": rate | {"dev_share": {"type": "fixed", "value": 0}}, "added": {"dev_share": 0}}
    for http in both_kinds:
        for name, fixed in (("without", {}), ("with", {"train_dev_share": 0.1})):
            assert http.post("/v1/studies", json=DIGITS | {"name": name} | task(fixed=fixed)).status_code == 201
        assert http.patch("/v1/studies/with", json=goal).status_code == 200
        unknown = {"budget": {"stop_when": {"metric": "recent_error", "below": 0.1}}}
        goals = [(patch, "/budget/stop_when/metric") for patch in (goal, unknown)]
        for patch, pointer in (*goals, (no_dev_part, "/metric")):
            answer = http.patch("/v1/studies/without", json=patch)
            assert refusal(answer) == (409, "contradiction")
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.fault("W6")
@pytest.mark.parametrize("dataset", ["npz:t.npz", "stream:s"])
def test_data_that_may_bring_a_dev_part_need_no_dev_share(both_kinds: Both, dataset: str) -> None:
    study = DIGITS | task(dataset=dataset, fixed={"dev_share": 0}) | {"metric": "dev_error"}
    for http in both_kinds:
        assert http.post("/v1/studies", json=study | {"name": f"own-{dataset[:3]}"}).status_code == 201


@pytest.mark.parametrize(
    ("changes", "choices"),
    [
        (task(dataset="mnist"), ["digits", "breast_cancer", "wine", "iris", "npz:NAME"]),
        (fixed(optimizer="sgd"), ["gradient_descent", "momentum", "adam"]),
        (fixed(hiden_units=4), ["hidden_units"]),
        (space(learning_rat=RATE), ["learning_rate"]),
    ],
    ids=str,
)
def test_a_refusal_names_the_choices(both_kinds: Both, changes: dict[str, Any], choices: list[str]) -> None:
    detail = both_kinds[0].post("/v1/studies", json=DIGITS | changes).json()["detail"]

    assert [choice for choice in choices if not re.search(rf"\b{choice}\b", detail)] == []


def test_all_problems_are_told_at_once(both_kinds: Both) -> None:
    bad = {"name": "-", "direction": "down", "budget": {"max_trials": 0}}

    answer = both_kinds[0].post("/v1/studies", json=DIGITS | bad).json()

    assert [error["pointer"] for error in answer["errors"]] == ["/name", "/direction", "/budget/max_trials"]
    assert answer["detail"].endswith("(and 2 more).")


def test_a_refusal_of_a_secret_does_not_repeat_it(both_kinds: Both) -> None:
    text = both_kinds[0].post("/v1/studies", json=DIGITS | {"direction": "hunter2", "budget": "hunter2"}).text

    assert "hunter2" not in text


# --- preview ---


def test_a_space_is_previewed_without_a_study(server: RunningServer, http: httpx.Client) -> None:
    answer = http.post("/v1/space:preview", json={"space": BOWL["space"], "seed": 7, "examples": 2})

    assert answer.status_code == 200
    body = answer.json()
    assert body["parameters"]["n"] == {
        "quantiles": {"0": 1.0, "0.05": 1.0, "0.25": 1.0, "0.5": 3.0, "0.75": 3.0, "0.95": 4.0, "1": 4.0},
        "shares": {"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.25},
    }
    assert body["parameters"]["x"]["quantiles"]["0.5"] == 0.0
    assert len(body["examples"]) == 2
    with pytest.raises(NotFound):
        server.client.study("bowl")


def test_a_preview_of_what_is_no_space_is_refused(both_kinds: Both) -> None:
    answer = both_kinds[0].post("/v1/space:preview", json={"space": {"x": RATE | {"low": 2}}})

    assert refusal(answer) == (409, "contradiction")
    assert answer.json()["errors"] == [
        {"pointer": "/space/x", "detail": "x: low must be less than high; got low 2.0 and high 1.0"}
    ]
