"""The search space: points of the unit cube to parameters and back, whatever the space."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sturgeon.errors import Invalid
from sturgeon.space import Choice, Fixed, Float, Int, Space
from sturgeon.values import LARGEST_INT, same_value

finite = st.floats(-1e9, 1e9, allow_subnormal=False)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-LARGEST_INT, LARGEST_INT),
    finite,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.lists(st.integers(1, 512), min_size=1, max_size=4),
)


@st.composite
def ints(draw: st.DrawFn) -> dict[str, Any]:
    step = draw(st.one_of(st.just(1), st.integers(1, 10_000)))
    scale = draw(st.sampled_from(["linear", "log"]))
    if scale == "log":
        low = draw(st.integers(step, min(step * 2**44, LARGEST_INT - step)))
    else:
        low = draw(st.integers(-LARGEST_INT, LARGEST_INT - step))
    steps = draw(st.integers(1, min((LARGEST_INT - low) // step, 2**44)))
    return {"type": "int", "low": low, "high": low + steps * step, "step": step, "scale": scale}


@st.composite
def floats(draw: st.DrawFn) -> dict[str, Any]:
    scale = draw(st.sampled_from(["linear", "log", "one_minus_log", "logit"]))
    ends = {
        "linear": finite,
        "log": st.floats(1e-9, 1e3),
        "one_minus_log": st.floats(0, 0.999_999),
        "logit": st.floats(1e-6, 0.999_999),
    }[scale]
    low, high = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    return {"type": "float", "low": low, "high": high, "scale": scale}


@st.composite
def choices(draw: st.DrawFn) -> dict[str, Any]:
    values: list[Any] = []
    for value in draw(st.lists(plain, min_size=1, max_size=6)):
        if not any(same_value(value, other) for other in values):
            values.append(value)
    return {"type": "choice", "values": values, "ordered": draw(st.booleans())}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """One to six parameters; some depend on values that choices before them may take."""
    root: dict[str, dict[str, Any]] = {"first": draw(choices())}
    for name in draw(st.lists(st.sampled_from("abcde"), unique=True)):
        fixed = st.fixed_dictionaries({"type": st.just("fixed"), "value": plain})
        parameter = draw(st.one_of(ints(), floats(), choices(), fixed))
        parents = [n for n, p in root.items() if p["type"] == "choice"]
        if when := {n: [draw(st.sampled_from(root[n]["values"]))] for n in parents if draw(st.booleans())}:
            parameter["when"] = when
        root[name] = parameter
    return Space.model_validate(root)


@st.composite
def points(draw: st.DrawFn) -> tuple[Space, list[float]]:
    space = draw(spaces())
    size = len(space.searched)
    return space, draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))


def inside(parameter: Float | Int | Choice | Fixed, value: Any) -> bool:
    match parameter:
        case Float():
            return isinstance(value, float) and parameter.low <= value <= parameter.high
        case Int():
            steps, rest = divmod(value - parameter.low, parameter.step)
            return type(value) is int and rest == 0 and steps >= 0 and value <= parameter.high
        case Choice():
            return any(same_value(value, own) for own in parameter.values)
        case Fixed():
            return same_value(value, parameter.value)


@given(points())
def test_what_a_point_decodes_to_lies_in_the_space(at: tuple[Space, list[float]]) -> None:
    space, point = at
    params = space.decode(point)

    assert space.problems() == []
    assert list(params) == [name for name in space if name in params]
    assert all(inside(space[name], value) for name, value in params.items())


@given(points())
def test_a_parameter_is_there_exactly_while_its_condition_and_its_parents_conditions_hold(
    at: tuple[Space, list[float]],
) -> None:
    space, point = at
    params = space.decode(point)
    for name in space:
        holds = all(
            parent in params and any(same_value(params[parent], value) for value in wanted)
            for parent, wanted in (space[name].when or {}).items()
        )
        assert (name in params) == holds


@given(points())
def test_given_parameters_are_encoded_to_a_point_that_decodes_to_them(at: tuple[Space, list[float]]) -> None:
    space, point = at
    params = space.decode(point)
    again = space.decode(space.encode(params))

    assert list(again) == list(params)
    for name, value in params.items():
        if isinstance(space[name], Float):
            assert again[name] == pytest.approx(value, rel=1e-9, abs=1e-6)
        else:
            assert type(again[name]) is type(value)
            assert same_value(again[name], value)


@given(points())
def test_fixed_values_need_not_be_given(at: tuple[Space, list[float]]) -> None:
    space, point = at
    params = space.decode(point)
    given_params = {name: value for name, value in params.items() if not isinstance(space[name], Fixed)}

    assert space.complete(given_params) == params
    assert space.encode(given_params) == space.encode(params)


@given(range_=ints(), at=st.floats(0, 1))
def test_an_int_comes_back_exactly(range_: dict[str, Any], at: float) -> None:
    parameter = Int.model_validate(range_)
    value = parameter.decode(at)

    assert parameter.problem() is None
    assert parameter.decode(parameter.encode(value)) == value


@pytest.mark.timeout(120)
def test_a_hundred_parameters_that_each_depend_on_all_before_are_decoded_at_once() -> None:
    """Written as a plain recursion, this would take longer than the age of the universe."""
    names = [f"p{i}" for i in range(100)]
    space = Space.model_validate(
        {
            name: {"type": "choice", "values": [1, 2], "when": {above: [1] for above in names[:i]} or None}
            for i, name in enumerate(names)
        }
    )
    params = space.decode([0.0] * 100)

    assert space.problems() == []
    assert params == dict.fromkeys(names, 1)
    assert space.decode(space.encode(params)) == params


@pytest.mark.timeout(120)
def test_the_largest_choices_are_checked_at_once() -> None:
    values = [str(i) for i in range(1000)]
    root = {f"p{i}": {"type": "choice", "values": values} for i in range(99)}
    root["last"] = {"type": "choice", "values": [1], "when": {f"p{i}": values for i in range(40)}}  # type: ignore[dict-item]

    assert Space.model_validate(root).problems() == []


def test_values_are_equal_as_json_is() -> None:
    assert same_value(1, 1.0)
    assert not same_value(1, True)
    assert not same_value(0, False)
    assert same_value([1, 2], [1.0, 2])
    assert not same_value("1", 1)


SPACE = Space.model_validate(
    {
        "optimizer": {"type": "choice", "values": ["adam", "momentum"]},
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": ["momentum"]}},
        "units": {"type": "int", "low": 16, "high": 64, "step": 16},
        "l2": {"type": "fixed", "value": 0.5},
    }
)


@pytest.mark.parametrize(
    ("params", "pointer", "sentence"),
    [
        ({"optimizer": "adam"}, "/units", "units: a value is missing"),
        ({"optimizer": "sgd", "units": 16}, "/optimizer", "optimizer: write one of 'adam', 'momentum'"),
        ({"optimizer": "adam", "units": 128}, "/units", "units: write an integer from 16 to 64"),
        ({"optimizer": "adam", "units": 17}, "/units", "units: write 16 plus a multiple of 16"),
        ({"optimizer": "adam", "units": 16.0}, "/units", "units: write an integer from 16 to 64"),
        ({"optimizer": "adam", "units": True}, "/units", "units: write an integer from 16 to 64"),
        (
            {"optimizer": "adam", "units": 16, "momentum": 0.9},
            "/momentum",
            "momentum: leave it out, its condition (when) does not hold",
        ),
        (
            {"optimizer": "momentum", "units": 16, "momentum": 1},
            "/momentum",
            "momentum: write a number from 0.8 to 0.99",
        ),
        ({"optimizer": "momentum", "units": 16}, "/momentum", "momentum: a value is missing"),
        (
            {"optimizer": "adam", "units": 16, "unit": 1},
            "/unit",
            "unit: no such parameter; the parameters are optimizer, momentum, units, l2",
        ),
        ({"optimizer": "adam", "units": 16, "l2": 1}, "/l2", "l2: it is fixed at 0.5; leave it out"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(params: dict[str, Any], pointer: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        SPACE.encode(params)

    assert [tuple(problem) for problem in refused.value.errors] == [(pointer, sentence)]
    assert refused.value.message == f"The parameters do not fit the space. {sentence}."
