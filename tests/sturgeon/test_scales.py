"""Scales: what a million draws look like, and the way back from a value to its place on the scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from sturgeon.scales import SCALES, Linear, ScaleName
from sturgeon.space import Float, Int

MILLION = 1_000_000
EPSILON = 2.0**-52
Cdf = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@cache
def uniform_draws() -> list[float]:
    return np.random.default_rng(20_260_101).random(MILLION).tolist()


# The distribution functions as the course writes them, apart from our code.
FORMULAS: list[tuple[ScaleName, float, float, Cdf]] = [
    ("linear", -2.0, 3.0, lambda x: (x + 2) / 5),
    ("log", 1e-4, 1.0, lambda x: (np.log10(x) + 4) / 4),
    ("one_minus_log", 0.9, 0.999, lambda x: (-1 - np.log10(1 - x)) / 2),
    ("logit", 0.01, 0.99, lambda x: (np.log(x / (1 - x)) + np.log(99)) / (2 * np.log(99))),
]


@pytest.mark.parametrize(("scale", "low", "high", "cdf"), FORMULAS, ids=[f[0] for f in FORMULAS])
def test_a_million_draws_follow_the_formula(scale: ScaleName, low: float, high: float, cdf: Cdf) -> None:
    parameter = Float(type="float", low=low, high=high, scale=scale)
    draws = np.array([parameter.decode(u) for u in uniform_draws()])

    assert low <= draws.min()
    assert draws.max() <= high
    assert stats.kstest(draws, cdf).pvalue > 0.001


def test_half_of_beta_from_0_9_to_0_999_lies_above_0_99() -> None:
    beta = Float(type="float", low=0.9, high=0.999, scale="one_minus_log")
    above = sum(beta.decode(u) > 0.99 for u in uniform_draws())

    assert above / MILLION == pytest.approx(0.5, abs=0.002)  # 4 standard deviations


def test_the_middle_of_each_scale_is_its_own_mean() -> None:
    assert SCALES["linear"].value(0.5, -2.0, 3.0) == 0.5
    assert SCALES["log"].value(0.5, 1e-4, 1.0) == pytest.approx(1e-2, rel=1e-15)
    assert SCALES["one_minus_log"].value(0.5, 0.9, 0.999) == pytest.approx(0.99, rel=1e-15)
    assert SCALES["logit"].value(0.5, 0.001, 0.999) == pytest.approx(0.5, rel=1e-15)


INTS: list[dict[str, Any]] = [
    {"low": -1, "high": 1},
    {"low": 0, "high": 100, "step": 10},
    {"low": 1, "high": 9, "scale": "log"},
    {"low": 16, "high": 128, "scale": "log"},
    {"low": 16, "high": 128, "step": 16, "scale": "log"},
]


def share_of(value: int, low: int, high: int, step: int = 1, scale: str = "linear") -> float:
    """The part of the scale, half a step wider at either end, that is nearest to the value."""
    if scale == "linear":
        return step / (high - low + step)
    half = step / 2
    return math.log((value + half) / (value - half)) / math.log((high + half) / (low - half))


def first_place(parameter: Int, value: int) -> float:
    """The smallest place u that is decoded to `value` or more, by bisection to the last bit."""
    below, there = 0.0, 1.0
    if parameter.decode(below) >= value:
        return below
    while below < (middle := (below + there) / 2) < there:
        below, there = (below, middle) if parameter.decode(middle) >= value else (middle, there)
    return there


@pytest.mark.parametrize("given_range", INTS, ids=str)
def test_both_ends_of_an_int_are_reached_as_often_as_the_scale_says(given_range: dict[str, Any]) -> None:
    """By the exact length of each value's part of [0, 1), which is its share of draws since `decode` never falls."""
    parameter = Int(type="int", **given_range)
    values = list(range(parameter.low, parameter.high + 1, parameter.step))
    starts = [first_place(parameter, value) for value in values]
    lengths = np.diff([*starts, 1.0])
    assert lengths == pytest.approx([share_of(value, **given_range) for value in values], rel=1e-9)

    draws = sorted(uniform_draws()[:50_000])
    decoded = [parameter.decode(u) for u in draws]
    assert decoded == sorted(decoded), "it never falls"
    assert decoded == [values[i] for i in np.searchsorted(starts, draws, side="right") - 1]


@pytest.mark.parametrize("given_range", INTS, ids=str)
def test_the_share_that_an_int_shows_is_the_share_that_it_draws(given_range: dict[str, Any]) -> None:
    parameter = Int(type="int", **given_range)
    for value in range(parameter.low, parameter.high + 1, parameter.step):
        assert parameter.share(value) == pytest.approx(share_of(value, **given_range), rel=1e-9)


# --- the way back ---


def ends(smallest: float, largest: float) -> st.SearchStrategy[tuple[float, float]]:
    finite = st.floats(smallest, largest, allow_subnormal=False)
    return st.tuples(finite, finite).filter(lambda pair: pair[0] < pair[1])


def back_and_forth(scale: ScaleName, value: float, low: float, high: float) -> float:
    u = SCALES[scale].unit(value, low, high)
    assert 0.0 <= u <= 1.0
    return SCALES[scale].value(u, low, high)


@given(pair=ends(0.0, 1e9), at=st.floats(0, 1))
def test_a_linear_value_comes_back_within_4_ulp(pair: tuple[float, float], at: float) -> None:
    low, high = pair
    value = min(max(low + at * (high - low), low), high)

    assert abs(back_and_forth("linear", value, low, high) - value) <= 4 * math.ulp(value)


@given(pair=ends(-1e9, 1e9), at=st.floats(0, 1))
def test_a_linear_value_of_any_sign_comes_back_within_4_ulp_of_the_larger_end(
    pair: tuple[float, float], at: float
) -> None:
    low, high = pair
    value = min(max(low + at * (high - low), low), high)

    assert abs(back_and_forth("linear", value, low, high) - value) <= 4 * math.ulp(max(abs(low), abs(high)))


@given(low=st.floats(1e-12, 1e6), decades=st.floats(1e-3, 7), at=st.floats(0, 1))
def test_a_log_value_comes_back_as_near_as_u_can_tell(low: float, decades: float, at: float) -> None:
    """4 ulp on two decades. On seven, neighbours of a u above 0.5 lie 16 ulp of the value apart: at best 8, and
    the exponential's own rounding."""
    high = low * 10.0**decades
    value = min(max(low * 10.0 ** (at * decades), low), high)
    most = 4 * math.ulp(value) if decades <= 2 else 8 * EPSILON * value

    assert abs(back_and_forth("log", value, low, high) - value) <= most


@given(nines=ends(0.0, 7.0), at=st.floats(0, 1))
def test_a_beta_comes_back_within_4_ulp(nines: tuple[float, float], at: float) -> None:
    low, high = (1 - 10.0**-n for n in nines)
    value = min(max(low + at * (high - low), low), high)
    if low < high and (value == 0 or value > 1e-300):
        assert abs(back_and_forth("one_minus_log", value, low, high) - value) <= 4 * math.ulp(value)


@given(logits=ends(-16.0, 16.0), at=st.floats(0, 1))
def test_a_share_comes_back_as_near_as_u_can_tell(logits: tuple[float, float], at: float) -> None:
    """4 ulp where the odds span two decades, and near 1 always; else as with log."""
    low, high = (1 / (1 + math.exp(-x)) for x in logits)
    value = min(max(1 / (1 + math.exp(-(logits[0] + at * (logits[1] - logits[0])))), low), high)
    narrow = logits[1] - logits[0] <= 2 * math.log(10)
    if low < high:
        most = 4 * math.ulp(value) if narrow or value > 0.75 else 9 * EPSILON * value
        assert abs(back_and_forth("logit", value, low, high) - value) <= most


@given(pair=ends(1e-6, 0.999_999), scale=st.sampled_from(sorted(SCALES)))
def test_the_ends_are_exact_both_ways(pair: tuple[float, float], scale: ScaleName) -> None:
    low, high = pair
    of = SCALES[scale]

    assert (of.value(0.0, low, high), of.value(1.0, low, high)) == (low, high)
    assert (of.unit(low, low, high), of.unit(high, low, high)) == (0.0, 1.0)


@pytest.mark.fault("N")
@given(low=st.floats(0, 0.999_999), apart=st.integers(1, 3), scale=st.sampled_from(sorted(SCALES)))
@example(low=0.230_901_703_994_512_6, apart=1, scale="one_minus_log")
def test_a_range_of_neighbouring_numbers_is_covered_or_refused(low: float, apart: int, scale: ScaleName) -> None:
    high = low
    for _ in range(apart):
        high = math.nextafter(high, 1.0)
    of = SCALES[scale]

    if of.range_problem(low, high) is None:
        assert (of.unit(low, low, high), of.unit(high, low, high)) == (0.0, 1.0)
        assert all(low <= of.value(u, low, high) <= high for u in (0.0, 0.1, 0.5, 0.9, 1.0))


@given(pair=ends(1e-6, 0.999_999), scale=st.sampled_from(sorted(SCALES)), us=ends(0, 1))
def test_a_larger_u_never_gives_a_smaller_value(
    pair: tuple[float, float], scale: ScaleName, us: tuple[float, float]
) -> None:
    values = [SCALES[scale].value(u, *pair) for u in us]

    assert pair[0] <= values[0]
    assert values[1] <= pair[1]
    assert values[1] >= values[0] - 4 * math.ulp(values[0])


@pytest.mark.parametrize(
    ("scale", "low", "high", "sentence"),
    [
        ("linear", -1e308, 1e308, "write a range whose width is a finite number"),
        ("log", 0.0, 1.0, "a log scale starts above 0: write a low greater than 0, or scale linear"),
        ("log", 1e-300, 1e300, "write a range whose high / low is a finite number"),
        (
            "one_minus_log",
            0.9,
            1.0,
            "one_minus_log is for averages: write 0 <= low and high < 1 (for example 0.9 and 0.999)",
        ),
        (
            "one_minus_log",
            -0.1,
            0.9,
            "one_minus_log is for averages: write 0 <= low and high < 1 (for example 0.9 and 0.999)",
        ),
        (
            "one_minus_log",
            0.230_901_703_994_512_6,
            0.230_901_703_994_512_62,
            "low and high are the same number on this scale: write a wider range, or scale linear",
        ),
        ("logit", 0.0, 0.9, "logit is for shares: write 0 < low and high < 1 (for example 0.01 and 0.99)"),
        ("logit", 0.1, 1.0, "logit is for shares: write 0 < low and high < 1 (for example 0.01 and 0.99)"),
        ("logit", 1e-300, 1 - 1e-16, "write a range whose high / low is a finite number"),
    ],
)
def test_a_range_that_the_scale_cannot_cover_is_refused_with_what_to_write(
    scale: ScaleName, low: float, high: float, sentence: str
) -> None:
    assert SCALES[scale].range_problem(low, high) == sentence


def test_each_scale_that_a_space_can_name_is_there_and_tested_by_its_formula() -> None:
    assert list(SCALES) == list(get_args(ScaleName)) == [name for name, *_ in FORMULAS]


def test_a_new_scale_is_one_class_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter decodes, encodes and checks its range by what the name says, whatever that is."""

    class Squared(Linear):
        def value(self, u: float, low: float, high: float) -> float:
            return super().value(u * u, low, high)

        def unit(self, value: float, low: float, high: float) -> float:
            return math.sqrt(super().unit(value, low, high))

        def range_problem(self, low: float, high: float) -> str | None:
            return f"write a low of 0, not {low:g}" if low else super().range_problem(low, high)

    monkeypatch.setitem(SCALES, "squared", Squared())
    parameter = Float.model_construct(type="float", low=0.0, high=8.0, scale="squared")

    assert (parameter.decode(0.5), parameter.encode(2.0), parameter.problem()) == (2.0, 0.5, None)
    assert parameter.model_copy(update={"low": 1.0}).problem() == "write a low of 0, not 1"
