"""Steps, normals and weights: each value as likely as SciPy says, and each found again from its point."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sturgeon.space import LogNormal, Normal, Space
from tests.search.spaces import distributions, stepped, weighted

UNITS = [0.0, 1e-9, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-9, 1.0]


def parameter(**fields: Any) -> Any:
    space = Space.model_validate({"p": fields})
    assert space.problems() == []
    return space["p"]


@settings(max_examples=60)
@given(st.one_of(distributions(), stepped(), weighted()), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_value_is_found_again_at_its_point(fields: dict[str, Any], units: list[float]) -> None:
    own = parameter(**fields)
    for u in [*units, 0.0, 1.0]:
        value = own.decode(u)
        again = own.decode(own.encode(value))
        assert again == (pytest.approx(value, rel=1e-7, abs=1e-7) if own.is_real else value)
        assert own.extremes[0] <= value <= own.extremes[-1] or fields["type"] == "choice"


@pytest.mark.parametrize("ends", [{}, {"low": -1.0}, {"high": 4.0}, {"low": 1.5, "high": 2.5}, {"low": 5.0}])
def test_a_normal_is_drawn_at_the_quantiles_of_the_truncated_normal(ends: dict[str, float]) -> None:
    own = parameter(type="normal", mean=1.0, sd=2.0, **ends)
    a, b = ((ends.get(end, at) - 1.0) / 2.0 for end, at in (("low", -11.0), ("high", 13.0)))
    known = stats.truncnorm(a, b, loc=1.0, scale=2.0)

    for u in UNITS:
        assert own.decode(u) == pytest.approx(known.ppf(u), rel=1e-6, abs=1e-9)
        assert own.encode(own.decode(u)) == pytest.approx(u, abs=1e-12)


def test_a_lognormal_is_drawn_at_the_quantiles_of_the_lognormal() -> None:
    own = parameter(type="lognormal", mean=-3.0, sd=1.5)
    known = stats.lognorm(s=1.5, scale=math.exp(-3.0))

    for u in UNITS[2:-2]:
        assert own.decode(u) == pytest.approx(known.ppf(u), rel=1e-7)


@pytest.mark.parametrize(
    ("fields", "cdf"),
    [
        ({"type": "normal", "mean": 10, "sd": 3, "step": 2}, stats.norm(10, 3).cdf),
        ({"type": "lognormal", "mean": 1, "sd": 0.5, "step": 1}, stats.lognorm(s=0.5, scale=math.e).cdf),
    ],
)
def test_a_normal_in_steps_rounds_to_the_nearest_of_them(fields: dict[str, Any], cdf: Any) -> None:
    own = parameter(**fields)
    values = [own.decode((low + high) / 2) for low, high in itertools.pairwise(own.edges)]

    assert all(isinstance(value, int) and value % fields["step"] == 0 for value in values)
    for value, low, high in zip(values, own.edges[:-1], own.edges[1:], strict=True):
        half = fields["step"] / 2
        assert high - low == pytest.approx(cdf(value + half) - cdf(value - half), abs=1e-8)


def test_ends_that_a_normal_is_given_are_as_likely_as_their_neighbours() -> None:
    own = parameter(type="normal", mean=0.5, sd=100, low=0, high=1, step=0.25)

    assert [own.decode(u) for u in (0, 0.3, 0.5, 0.7, 1)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert np.diff(own.edges) == pytest.approx([0.2] * 5, abs=1e-5)


def test_weights_are_the_shares_of_a_choice() -> None:
    own = parameter(type="choice", values=["a", "b", "c"], weights=[1, 5, 2])
    drawn = [own.decode((i + 0.5) / 8000) for i in range(8000)]

    assert own.shares == (0.125, 0.625, 0.25)
    assert [drawn.count(value) for value in "abc"] == [1000, 5000, 2000]
    assert own.decode(1.0) == "c"


def test_steps_are_written_as_in_decimals() -> None:
    own = parameter(type="float", low=0.1, high=1.0, step=0.1)

    assert list(own.steps()) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert own.encode(0.1 + 0.2) == own.encode(0.3)  # rounding is forgiven
    assert sum(map(own.share, own.steps())) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"write 0\.1 plus a multiple of 0\.1"):
        own.encode(0.35)


def test_steps_on_a_log_scale_are_as_likely_as_their_part_of_it() -> None:
    own = parameter(type="float", low=0.5, high=8.0, step=0.5, scale="log")
    whole = math.log(8.25 / 0.25)

    for value in own.steps():
        assert own.share(value) == pytest.approx(math.log((value + 0.25) / (value - 0.25)) / whole)


def test_lists_objects_and_null_are_values() -> None:
    values: list[Any] = [[64, 32], {"name": "adam", "betas": [0.9, 0.999]}, None, []]
    own = parameter(type="choice", values=values)

    assert [own.decode(own.encode(value)) for value in values] == values
    assert own.encode({"betas": [0.9, 0.999], "name": "adam"}) == own.encode(values[1])
    assert own.encode([64.0, 32]) == own.encode([64, 32])
    with pytest.raises(ValueError, match="write one of"):
        own.encode([True, 32])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, "high cannot be reached from low 0.0 in steps of 0.3"),
        ({"type": "float", "low": 0, "high": 1, "step": 3}, "write high 3.0"),
        ({"type": "float", "low": 1, "high": 2, "step": 1e-15}, "may have 2^45 steps at most"),
        ({"type": "float", "low": 1e9, "high": 1e9 + 1, "step": 1e-7}, "too small for numbers of this size"),
        ({"type": "float", "low": 0.1, "high": 1, "step": 0.1, "scale": "logit"}, "linear and log"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.1, "scale": "log"}, "a log scale starts above 0"),
        ({"type": "normal", "mean": 0, "sd": 1, "low": 2, "high": 1}, "low must be less than high"),
        ({"type": "normal", "mean": 0, "sd": 1, "low": 7}, "nearly nothing of the distribution"),
        ({"type": "normal", "mean": 0, "sd": 1, "low": 0, "high": 1, "step": 0.3}, "high cannot be reached"),
        ({"type": "normal", "mean": 0, "sd": 1, "step": 1e-4}, "10000 values at most"),
        ({"type": "normal", "mean": 0, "sd": 0.01, "step": 5}, "it has one value only"),
        ({"type": "normal", "mean": 1e300, "sd": 1e-9}, "all its values are the same number"),
        ({"type": "lognormal", "mean": 700, "sd": 5}, "within the range of a double"),
        ({"type": "choice", "values": [1, 2], "weights": [1]}, "write one weight for each value: 2 of them, not 1"),
        ({"type": "choice", "values": [1, 2], "weights": [1, 1e-12]}, "less than once in 10^9"),
    ],
)
def test_a_distribution_that_cannot_be_drawn_is_refused(fields: dict[str, Any], sentence: str) -> None:
    [problem] = Space.model_validate({"p": fields}).problems()
    assert sentence in problem.detail


def test_a_lognormal_is_a_kind_of_its_own() -> None:
    assert isinstance(parameter(type="lognormal", mean=0, sd=1), LogNormal)
    assert not isinstance(parameter(type="normal", mean=0, sd=1), LogNormal)
    assert isinstance(parameter(type="normal", mean=0, sd=1), Normal)
