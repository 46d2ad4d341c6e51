"""The short forms of `sturgeon tune`, and the plan that comes of options and files."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.tune_plans import REPORTS_BY_ITSELF, Options, line_pattern, plan_of_file
from sturgeon.space import Space


@pytest.mark.parametrize(
    ("form", "parameter"),
    [
        ("log:1e-5..1e-1", {"type": "float", "low": 1e-5, "high": 0.1, "scale": "log"}),
        ("one_minus_log:0.9..0.999", {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"}),
        ("logit:.01..0.9", {"type": "float", "low": 0.01, "high": 0.9, "scale": "logit"}),
        ("1..4", {"type": "int", "low": 1, "high": 4}),
        ("-2..2", {"type": "int", "low": -2, "high": 2}),
        ("log:1..512", {"type": "int", "low": 1, "high": 512, "scale": "log"}),
        ("8..64/8", {"type": "int", "low": 8, "high": 64, "step": 8}),
        ("0..1.0", {"type": "float", "low": 0.0, "high": 1.0}),
        ("-1. .. 1.5", {"type": "float", "low": -1.0, "high": 1.5}),
        ("64|128|256", {"type": "choice", "values": [64, 128, 256], "ordered": True}),
        ("256|64|128", {"type": "choice", "values": [256, 64, 128]}),
        ("0..1/0.25", {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}),
        ("relu | tanh", {"type": "choice", "values": ["relu", "tanh"]}),
        ("true|false", {"type": "choice", "values": [True, False]}),
        ("=adam", {"type": "fixed", "value": "adam"}),
        ("=0.5", {"type": "fixed", "value": 0.5}),
    ],
)
def test_each_short_form_is_the_parameter_that_it_looks_like(form: str, parameter: dict[str, Any]) -> None:
    plan = plan_of_file({"space": {"x": form, "y": "0..1"}, "minimize": "loss", "command": "true"}, "f", Options())

    assert plan.study["space"]["x"] == parameter
    assert Space.model_validate(plan.study["space"]).problems() == []


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("dev_loss=0.25", "0.25"),
        ("epoch 3: dev_loss: 1e-3 (best)", "1e-3"),
        ('{"step": 1, "dev_loss": -.5}', "-.5"),
        ("dev_loss nan", "nan"),
        ("max_dev_loss=3", None),
        ("dev_loss_total=3", None),
        ("dev_loss is low", None),
    ],
)
def test_a_metric_is_found_in_the_lines_that_print_it(line: str, value: str | None) -> None:
    found = re.search(line_pattern("dev_loss"), line)

    assert (found and found.group(1)) == value


@pytest.mark.parametrize(
    ("source", "reports"),
    [
        (b"import json\nimport sturgeon\n", True),
        (b"def f():\n    from sturgeon import trial\n", True),
        (b"sturgeon report loss=1", True),
        (b"print('STURGEON', json.dumps(x))", True),
        (b"os.environ['STURGEON_REPORTS']", True),
        (b"lr = os.environ['STURGEON_PARAM_LR']", False),
        (b"seed=$STURGEON_SEED", False),
        (b"# A script that knows nothing of Sturgeon; import sturgeon-free things", False),
    ],
)
def test_a_program_that_reports_by_itself_is_known_by_what_it_names(source: bytes, reports: bool) -> None:
    assert bool(REPORTS_BY_ITSELF.search(source)) is reports


def test_another_space_begins_another_study_and_more_trials_do_not() -> None:
    def name(space: str, trials: int, metric: str = "loss") -> str:
        content = {"space": {"x": space}, "minimize": metric, "command": "true", "trials": trials}
        return plan_of_file(content, "f", Options()).name

    assert name("0..1", 10) == name("0..1", 20)
    assert len({name("0..1", 10), name("0..2", 10), name("0..1", 10, "error")}) == 3


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"command": 5}, "command is text, or a list, not 5"),
        ({"command": "python 'x"}, "cannot be cut into words: no closing quotation"),
        ({"command": []}, "The command is empty"),
        ({"minimize": ["loss"]}, "minimize is text"),
        ({"trials": "many"}, "trials is a whole number, not many"),
        ({"trials": 0}, "trials is at least 1"),
        ({"workers": True}, "workers is a whole number, not true"),
        ({"budget": 3}, "budget is a mapping, not 3"),
        ({"command": None, "task": "train.py"}, "task is a mapping"),
        ({"command": None, "task": {"kind": "command", "argv": "train.py"}}, "task.argv is a list"),
        ({"command": None, "task": {"kind": "command", "argv": ["a", 5]}}, "put 5 in quotes"),
        ({"command": None, "task": {"kind": "command", "argv": ["a"], "limits": 5}}, "task.limits is a mapping"),
        ({"command": None, "task": {"kind": "command", "argv": ["a"], "metrics": {"lines": []}}}, "metrics.lines is a"),
    ],
)
def test_a_file_whose_fields_are_of_another_kind_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WrongInput, match=re.escape(sentence)):
        plan_of_file({"space": {"x": "0..1"}, "minimize": "loss", "command": "true"} | fields, "f", Options())


def test_a_number_in_a_list_of_arguments_is_its_text() -> None:
    content = {"space": {"x": "0..1"}, "minimize": "loss", "command": ["python", "train.py", "--epochs", 5, 1e-4]}

    assert plan_of_file(content, "f", Options()).argv[2:] == ["--epochs", "5", "0.0001"]


def test_options_win_over_what_the_file_says() -> None:
    content = {"space": {"x": "0..1"}, "minimize": "loss", "command": "true", "trials": 10, "workers": 3, "name": "f"}

    plan = plan_of_file(content, "stem", Options(maximize="score", trials=20, workers=0, name="mine"))

    assert (plan.study["metric"], plan.study["direction"], plan.study["budget"]) == (
        "score",
        "maximize",
        {"max_trials": 20},
    )
    assert (plan.workers, plan.name) == (0, "mine")
    assert not {"minimize", "maximize", "trials", "workers", "command"} & plan.study.keys()
