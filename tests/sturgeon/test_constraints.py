"""Constraints between parameters and conditions on ranges: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sturgeon.errors import Invalid, json_pointer
from sturgeon.messages import StudyPatch
from sturgeon.space import Space
from sturgeon.space.constraints import constraint
from sturgeon.space.expressions import Scalars
from sturgeon.space.grammar import parse

UNIT = {"type": "float", "low": 0, "high": 1}
SIZES = {"type": "int", "low": 1, "high": 8}


@pytest.mark.parametrize(
    ("text", "holds", "breaks"),
    [
        ("a >= b", {"a": 2, "b": 2}, {"a": 1, "b": 2}),
        ("a > b", {"a": 3, "b": 2}, {"a": 2, "b": 2}),
        ("lr * batch <= 10", {"lr": 0.1, "batch": 100}, {"lr": 0.1, "batch": 101}),
        ("a - b - 1 == 0", {"a": 3, "b": 2}, {"a": 2, "b": 3}),
        ("a / b / 2 == 3", {"a": 12, "b": 2}, {"a": 12, "b": 8}),
        ("a + b * 2 < 7", {"a": 0, "b": 3}, {"a": 1, "b": 3}),
        ("(a + b) * 2 < 7", {"a": 0, "b": 3}, {"a": 1, "b": 3}),
        ("-a < -1e-1", {"a": 0.2}, {"a": 0.1}),
        ("0.1 + a == 0.3", {"a": 0.2}, {"a": 0.2000001}),
        ("a != b", {"a": 1, "b": 2}, {"a": 1, "b": 1.0}),
        ("a <= b <= 3", {"a": 1, "b": 3}, {"a": 1, "b": 4}),
        ("a < 1 or b < 1 and c < 1", {"a": 0, "b": 5, "c": 5}, {"a": 5, "b": 0, "c": 5}),
        ("(a < 1 or b < 1) and c < 1", {"a": 0, "b": 5, "c": 0}, {"a": 0, "b": 0, "c": 5}),
        ('o == "sgd" or b <= 0.9', {"o": "sgd", "b": 1}, {"o": "adam", "b": 1}),
        ("o != 'sgd'", {"o": "adam"}, {"o": "sgd"}),
        ("flag == true or 'x' == o", {"flag": True, "o": "y"}, {"flag": 1, "o": "y"}),
        ("o != null", {"o": 0}, {"o": None}),
        ("`val/loss` + `--lr` < 1 and net.units > 0", {"val/loss": 0, "--lr": 0, "net.units": 1},
         {"val/loss": 1, "--lr": 0, "net.units": 1}),
        ("a / b >= 0", {"a": 1, "b": 1}, {"a": 1, "b": 0}),
        ("a / b != 1", {"a": 1, "b": 2}, {"a": 1, "b": 0}),
    ],
)  # fmt: skip
def test_a_constraint_means_what_it_says(text: str, holds: dict[str, Any], breaks: dict[str, Any]) -> None:
    assert constraint(text).holds(holds)
    assert not constraint(text).holds(breaks)


numbers = st.recursive(
    st.sampled_from(["a", "b", "2", "0.5", "3"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: "({}{}{})".format(*parts)),
    max_leaves=6,
)
comparisons = st.tuples(numbers, st.sampled_from(["<", "<=", ">", ">="]), numbers).map(" ".join)
logics = st.recursive(
    comparisons,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join).map("({})".format),
    max_leaves=4,
)


@settings(max_examples=60)
@given(logics, st.integers(-4, 4), st.integers(-4, 4))
def test_it_computes_as_python_does(text: str, a: int, b: int) -> None:
    assume(len(text) <= 500 and text.count("(") <= 20)

    expected = eval(text, {"a": float(a), "b": float(b)})
    assert bool(parse(text).evaluate({"a": a, "b": b}, Scalars())) == expected


@given(st.text(alphabet="ab01.<>=!+-*/()`\"'andor \t$\u00e9", max_size=40))
def test_whatever_is_written_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        parse(text)
    except Exception as error:
        if type(error) is not ValueError or not str(error):
            raise


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = b", "'=' at place 3 has no meaning; write =="),
        ("a", "compare two sides"),
        ("a + 1", "compare two sides"),
        ("a <", "it ends where a parameter or a number is expected"),
        ("a < 1 b", "'b' is not expected there"),
        ("(a < 1", "a parenthesis is not closed"),
        ("a < 1 and b", "and stands between comparisons"),
        ("(a < b) + 1 > 2", "only numbers are added"),
        ("a < 'x'", "compared with a parameter alone, by == or !="),
        ("1 < 2", "it names no parameter"),
        ("a < __import__('os')", "'(' is not expected there; there are no functions"),
        ("log(a) < 1", "'(' is not expected there; there are no functions"),
        ("max(a, b) < 1", "',' at place 6 has no meaning; there are no functions"),
        ("a ** 2 < 1", "'*' is not expected there; there are no powers, write a product"),
        ("a^2 < 1", "'^' at place 2 has no meaning; there are no powers, write a product; a name with such signs"),
        ("a % 2 == 0", "'%' at place 3 has no meaning; there are no remainders"),
        ("a > 1 && b > 1", "'&' at place 7 has no meaning; write and"),
        ("!(a > 1)", "'!' at place 1 has no meaning; write the opposite comparison"),
        ("a < 1; b", "';' at place 6 has no meaning"),
        ("not a < 1", "'not' is not expected there; write the opposite comparison"),
        ("(" * 21 + "a" + ")" * 21 + "< 1", "at most 20 pairs of parentheses"),
        ("a < 1" + " or a < 1" * 100, "at most 500 characters"),
    ],
)
def test_what_is_no_constraint_is_refused_with_its_reason(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        constraint(text)
    assert sentence in str(refused.value)


def test_a_bad_constraint_is_named_by_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        StudyPatch.model_validate({"constraints": ["a < b", "a <"]})
    assert [error["loc"] for error in refused.value.errors()] == [("constraints", 1)]


def test_what_a_constraint_names_has_to_fit_the_space() -> None:
    space = Space.model_validate({"units": SIZES, "o": {"type": "choice", "values": ["sgd", 1]}})
    problems = space.constrained(["unit > 1", "o > 1", "o == 'sgd' or units > 3"]).constraint_problems()

    assert [problem.pointer for problem in problems] == ["/0", "/1"]
    assert "did you mean units?" in problems[0].detail
    assert "o may be 'sgd', which is no number" in problems[1].detail


def test_parameters_that_break_a_constraint_have_no_point() -> None:
    space = Space.model_validate({"a": SIZES, "b": SIZES}).constrained(["a >= b"])

    with pytest.raises(Invalid) as refused:
        space.encode({"a": 2, "b": 3})
    assert refused.value.errors == (("", "the constraint a >= b does not hold: a is 2 and b is 3"),)
    assert space.place({"a": 2, "b": 3}) is None
    assert space.decode(space.encode({"a": 3, "b": 2})) == {"a": 3, "b": 2}
    assert space != space.constrained([])
    assert Space.of_identity(space.identity()) == space


def test_a_constraint_with_an_inactive_parameter_does_not_count() -> None:
    space = Space.model_validate(
        {"a": SIZES, "b": {**SIZES, "when": {"a": {"at_least": 5}}}},
    ).constrained(["b > 7"])

    assert space.broken({"a": 1}) == []
    assert [one.text for one in space.broken({"a": 5, "b": 7})] == ["b > 7"]


@pytest.mark.parametrize(
    ("wanted", "active"),
    [
        ({"at_least": 3}, {3, 4}),
        ({"above": 3}, {4}),
        ({"at_most": 2}, {1, 2}),
        ({"below": 2}, {1}),
        ({"at_least": 2, "below": 4}, {2, 3}),
        ({"in": [1, 4]}, {1, 4}),
        ([1, 4], {1, 4}),
    ],
)
def test_a_condition_may_be_a_range(wanted: Any, active: set[int]) -> None:
    for layers in ({"type": "int", "low": 1, "high": 4}, {"type": "choice", "values": [4, 2, 3, 1]}):
        space = Space.model_validate({"layers": layers, "drop": {**UNIT, "when": {"layers": wanted}}})
        assert space.problems() == []
        found = {params["layers"] for params in (space.decode((u / 64, 0.5)) for u in range(64)) if "drop" in params}
        assert found == active


def test_a_condition_may_be_a_range_of_a_real_number() -> None:
    space = Space.model_validate({"x": UNIT, "y": {**UNIT, "when": {"x": {"above": 0.25, "at_most": 0.5}}}})

    assert space.problems() == []
    assert ["y" in space.decode((x, 0.5)) for x in (0.25, 0.2500001, 0.5, 0.5000001)] == [False, True, True, False]
    assert space.encode({"x": 0.3, "y": 1.0}) == (0.3, 1.0)
    with pytest.raises(Invalid, match="leave it out"):
        space.encode({"x": 0.6, "y": 1.0})


@pytest.mark.parametrize(
    ("parent", "wanted", "sentence"),
    [
        (SIZES, {"at_least": 9}, "when can never hold, p is never at least 9: it goes from 1 to 8"),
        (SIZES, {"above": 3, "below": 3}, "when can never hold"),
        (SIZES, {}, "write one or more of at_least, at_most, above, below"),
        ({"type": "choice", "values": ["a", 1]}, {"at_least": 1}, "p is not always a number"),
        ({"type": "choice", "values": [1, 9]}, {"above": 2, "below": 8}, "when can never hold"),
        (UNIT, [0.5], "p is a real number: write a range"),
        ({"type": "normal", "mean": 0, "sd": 1, "step": 1e-9}, {"above": 2}, "10000 values at most"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(parent: Any, wanted: Any, sentence: str) -> None:
    [problem, *_] = Space.model_validate({"p": parent, "q": {**UNIT, "when": {"p": wanted}}}).problems()
    assert sentence in problem.detail


@pytest.mark.parametrize("name", ["val/loss", "--lr", "mAP50-95(B)", "dev loss", "a~b", "0", "x'"])
def test_names_may_have_signs(name: str) -> None:
    space = Space.model_validate({name: {**UNIT, "low": 2}, "b": UNIT}).constrained([f"`{name}` > b"])

    assert [problem.pointer for problem in space.problems()] == [json_pointer(name)]
    assert space.constraint_problems() == []


@pytest.mark.parametrize("name", ["", " lr", "lr ", "a=b", "a,b", "a{b}", 'a"b', "a`b", "a\\b", "a\nb", "η", "x" * 101])
def test_names_that_would_end_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Space.model_validate({name: UNIT})


def test_pointers_escape_what_a_name_may_have() -> None:
    assert json_pointer("space", "val/loss~", 3) == "/space/val~1loss~0/3"
