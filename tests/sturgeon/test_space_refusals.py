"""What is no space is refused in a sentence that names the parameter and says what to write."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sturgeon.space import Space
from sturgeon.values import LARGEST_INT

ALONE = "for this value alone, write"


def choice(*values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "values": list(values), **more}


def integer(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "int", "low": low, "high": high, **more}


def real(low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high, **more}


def problems(**parameters: Any) -> list[tuple[str, str]]:
    return [tuple(problem) for problem in Space.model_validate(parameters).problems()]


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        (
            real(1.0, 1.0),
            f'low must be less than high; got low 1.0 and high 1.0; {ALONE} {{"type": "fixed", "value": 1.0}}',
        ),
        (
            integer(5, 5),
            f'low must be less than high; got low 5 and high 5; {ALONE} {{"type": "fixed", "value": 5}}',
        ),
        (real(2.0, 1.0), "low must be less than high; got low 2.0 and high 1.0"),
        (integer(5, 4), "low must be less than high; got low 5 and high 4"),
        (real(0, 1, scale="log"), "a log scale starts above 0: write a low greater than 0, or scale linear"),
        (integer(0, 9, scale="log"), "a log scale starts above 0: write a low greater than 0.5, or scale linear"),
        (
            integer(4, 24, step=10, scale="log"),
            "a log scale starts above 0: write a low greater than 5, or scale linear",
        ),
        (
            real(0.9, 1, scale="one_minus_log"),
            "one_minus_log is for averages: write 0 <= low and high < 1 (for example 0.9 and 0.999)",
        ),
        (
            integer(16, 100, step=16),
            "high cannot be reached from low 16 in steps of 16: write high 96 or 112",
        ),
        (integer(1, 3, step=5), "high cannot be reached from low 1 in steps of 5: write high 6"),
        (
            integer(0, LARGEST_INT),
            "a range may have 2^45 steps at most: write a smaller range or a larger step",
        ),
        (choice(1, 2, 1.0), "each value may stand once; 1.0 stands twice"),
    ],
)
def test_a_parameter_that_cannot_be_drawn_is_refused(parameter: dict[str, Any], sentence: str) -> None:
    assert problems(good=choice("a"), bad=parameter) == [("/bad", f"bad: {sentence}")]


def test_a_space_of_fixed_values_alone_is_refused() -> None:
    assert problems(x={"type": "fixed", "value": 1}) == [("", "a space needs at least one parameter that is not fixed")]


def test_all_problems_are_told_at_once() -> None:
    assert [pointer for pointer, _ in problems(a=real(1, 0), b=integer(1, 0), c=choice(1, 1))] == ["/a", "/b", "/c"]


# --- conditions ---


@pytest.mark.parametrize(
    ("parameters", "pointer", "sentence"),
    [
        (
            {"a": choice(1), "b": choice(1, when={"c": [1]})},
            "/b/when/c",
            "b: when names 'c', which is no parameter of this space; its parameters are a, b",
        ),
        (
            {"a": real(0, 1), "b": choice(1, when={"a": [0.5]})},
            "/b/when/a",
            'b: a is a real number: write a range of it, as in "when": {"a": {"at_least": 0.5}}',
        ),
        (
            {"a": choice("x", "y"), "b": choice(1, when={"a": ["x", "z"]})},
            "/b/when/a",
            "b: when can never hold, a is never 'z': write one of 'x', 'y'",
        ),
        (
            {"a": choice(True, False), "b": choice(1, when={"a": [1]})},
            "/b/when/a",
            "b: when can never hold, a is never 1: write one of true, false",
        ),
        (
            {"a": integer(1, 3), "b": choice(1, when={"a": [4]})},
            "/b/when/a",
            "b: when can never hold, a is never 4: write an integer from 1 to 3",
        ),
        (
            {"a": choice(1, when={"a": [1]})},
            "/a/when/a",
            "a: when goes in a circle through a",
        ),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(parameters: dict[str, Any], pointer: str, sentence: str) -> None:
    assert problems(**parameters) == [(pointer, sentence)]


def test_a_circle_of_conditions_is_refused_wherever_one_enters_it() -> None:
    found = problems(a=choice(1, when={"c": [1]}), b=choice(1, when={"a": [1]}), c=choice(1, when={"b": [1]}))

    assert found == [
        ("/a/when/c", "a: when goes in a circle through c"),
        ("/b/when/a", "b: when goes in a circle through a"),
        ("/c/when/b", "c: when goes in a circle through b"),
    ]


def test_conditions_may_be_chained() -> None:
    chain = {"a": choice(0, 1), "b": choice(0, 1, when={"a": [1]}), "c": choice(0, 1, when={"b": [1]})}
    space = Space.model_validate(chain)

    assert space.problems() == []
    assert space.decode([0.9, 0.9, 0.1]) == {"a": 1, "b": 1, "c": 0}
    assert space.decode([0.9, 0.1, 0.9]) == {"a": 1, "b": 0}
    assert space.decode([0.1, 0.9, 0.9]) == {"a": 0}


# --- what is not even of the right shape ---


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"x": real(0, float("inf"))},
        {"x": real(float("nan"), 1)},
        {"x": real(0, 1, scale="reverse_log")},
        {"x": real(False, 1)},
        {"x": integer(0, 1.5)},  # type: ignore[arg-type]
        {"x": integer(0, 2**53 + 1)},
        {"x": integer(0, 4, step=0)},
        {"x": integer(0, 4, scale="one_minus_log")},
        {"x": choice()},
        {"x": choice(float("nan"))},
        {"x": choice({"a": [{"b": [[1]]}]})},
        {"x": choice([1] * 101)},
        {"x": choice({"nul\0": 1})},
        {"x": choice("nul\0")},
        {"x": choice("\ud800")},
        {"x": choice(1, when={"a": []})},
        {"x": {"type": "uniform", "low": 0, "high": 1}},
        {"x": {"low": 0, "high": 1}},
        {"x": real(0, 1, log=True)},
        {"x=1": real(0, 1)},
        {"x" * 101: real(0, 1)},
        {f"x{i}": real(0, 1) for i in range(101)},
    ],
    ids=str,
)
def test_what_has_not_the_shape_of_a_space_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Space.model_validate(parameters)
