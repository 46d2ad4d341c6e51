"""Means of replicates, and whether two of them differ significantly."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from sturgeon.search.separation import mean, separable, spread

scores = st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=2, max_size=8)


@given(scores)
def test_the_standard_error_is_that_of_the_mean(values: list[float]) -> None:
    found = spread(values)

    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.standard_error == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-6)
    assert found.size == len(values)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0.50, 0.51, 0.52], [0.53, 0.54, 0.55]),
        ([0.50, 0.51, 0.52], [0.51, 0.54, 0.57]),
        ([0.500, 0.510, 0.520], [0.519, 0.529, 0.539]),  # p = 0.08
        ([0.1, 0.9], [5.0, 5.1, 5.2, 5.3]),
        ([0.1, 0.9], [1.0, 1.9]),
        ([1e-300, 2e-300, 3e-300], [9e-300, 9.1e-300]),
    ],
)
def test_means_are_told_apart_as_by_welchs_test(a: Sequence[float], b: Sequence[float]) -> None:
    scale = 1 / max(map(abs, [*a, *b]))  # SciPy's squares underflow
    wanted = ttest_ind(np.array(a) * scale, np.array(b) * scale, equal_var=False).pvalue < 0.05

    assert separable(spread(a), spread(b)) == separable(spread(b), spread(a)) == wanted


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), scores)
def test_no_finite_score_breaks_it_and_a_single_one_is_separable_from_none(a: list[float], b: list[float]) -> None:
    found = spread(a)

    assert math.isfinite(found.mean)
    assert found.standard_error is None or math.isfinite(found.standard_error)
    assert separable(found, spread(b)) == separable(spread(b), found)
    assert not separable(spread(a[:1]), spread(b))


def test_equal_scores_are_apart_from_others_and_an_unknown_one_has_no_mean() -> None:
    assert separable(spread([1, 1]), spread([2, 2]))
    assert not separable(spread([1, 1]), spread([1, 1, 1]))
    assert mean([1.0, None]) is None
    assert mean([1.0, 2.0]) == 1.5
