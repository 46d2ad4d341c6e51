from __future__ import annotations

import dataclasses
from typing import Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from sturgeon import training as task
from trainer.config import CHOICES, LIVE, ConfigError, TrainConfig, config_from
from trainer.data.loading import BUNDLED


def test_the_train_task_and_the_config_have_the_same_names_and_defaults():
    fields = {f.name: f.default for f in dataclasses.fields(TrainConfig) if f.name != "dataset"}
    assert task.field_names() == ("dataset", *fields)
    assert {name: task.TrainTask.model_fields[name].default for name in fields} == fields


def literal_choices(annotation):
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for option in get_args(annotation) if (found := literal_choices(option))), ())


def test_the_train_task_has_the_choices_live_fields_and_data_sets_of_the_config():
    for name, choices in CHOICES.items():
        assert literal_choices(task.TrainTask.model_fields[name].annotation) == choices
    assert set(task.flagged("live")) == LIVE
    assert set(task.DATASETS) == set(BUNDLED)


def test_every_field_says_what_it_is_and_whether_it_is_searchable_and_live():
    properties = task.TrainTask.model_json_schema()["properties"]
    assert properties.keys() == task.TrainTask.model_fields.keys()
    for name, schema in properties.items():
        assert len(schema["description"]) > 10, name
        assert {"searchable", "live"} <= set(schema), name


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("lerning_rate", 0.1, "did you mean learning_rate?"),
        ("learning_rate", 0, "greater than 0 and at most 100; got 0."),
        ("learning_rate", True, "got true"),
        ("learning_rate", float("nan"), "not finite"),
        ("epochs", 1.5, "an integer at least 1"),
        pytest.param("epochs", 10**5000, "a huge integer", id="huge"),
        ("activation", "relo", "one of relu, leaky_relu, tanh, sigmoid, linear"),
        pytest.param("activation", "\ud800" * 1000, "one of relu, leaky_relu, tanh, sigmoid, linear", id="surrogates"),
        ("hidden_units", [16, True], "a list"),
        ("dataset", "npz:../secret.npz", "without '..'"),
        ("dataset", "npz:/etc/passwd", "relative path"),
        ("dataset", "cats", "digits, breast_cancer, wine, iris"),
        ("normalize_inputs", 1, "true or false"),
    ],
)
def test_a_bad_field_is_refused_in_a_sentence_with_the_choices_or_the_range(name, value, says):
    problem = task.field_problem(name, value)
    assert says in problem
    assert len(problem) < 1000
    assert task.task_problems({"dataset": "digits", name: value}) == [(name, problem)]
    with pytest.raises(ValidationError):
        task.TrainTask.model_validate({"dataset": "digits", name: value})


@pytest.mark.parametrize("dataset", ["digits", "npz:mine.npz", "npz:a/b..c.npz"])
def test_good_data_set_names_pass(dataset):
    assert task.task_problems({"dataset": dataset, "hidden_units": [32, 16], "learning_rate": 1}) == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hidden_layers": 3, "hidden_units": [16, 8]}, "hidden_layers"),
        ({"dev_share": 0.5, "test_share": 0.5}, "test_share"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields, field):
    ((name, sentence),) = task.task_problems({"dataset": "digits"} | fields)
    assert name == field
    assert sentence.endswith(".")


def test_a_task_without_a_data_set_is_refused():
    ((name, sentence),) = task.task_problems({})
    assert (name, "digits" in sentence) == ("dataset", True)


def test_hidden_units_are_a_number_for_all_layers_or_a_list_for_each():
    assert TrainConfig("digits").widths() == (64,)
    assert TrainConfig("digits", hidden_layers=2, hidden_units=5).widths() == (5, 5)
    assert TrainConfig("digits", hidden_layers=0).widths() == ()
    assert config_from({"dataset": "digits", "hidden_units": [5, 4]}).widths() == (5, 4)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dataset": "digits", "lerning_rate": 1}, "lerning_rate"),
        ({"epochs": 1}, "dataset"),
        ({"dataset": "digits", "optimizer": "sgd"}, "gradient_descent, momentum, rmsprop, adam"),
        ({"dataset": "digits", "hidden_units": [5, 4], "hidden_layers": 1}, "lists 2 layers"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(fields, says):
    with pytest.raises(ConfigError, match=says):
        config_from(fields)
