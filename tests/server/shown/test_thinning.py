"""Thinned curves keep what people look for: where a curve begins and ends, and how low and how high it came."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.services.shown.thinning import LEAST, kept

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60)


@given(VALUES, st.integers(LEAST, 40))
def test_the_ends_and_the_extremes_of_a_curve_are_kept(values: list[float], most: int) -> None:
    places = list(kept(values, most))

    assert len(places) <= max(most, 0)
    assert places == sorted(set(places))
    if values:
        shown = [values[place] for place in places]
        assert (places[0], places[-1]) == (0, len(values) - 1)
        assert (min(shown), max(shown)) == (min(values), max(values))


@given(VALUES, st.integers(LEAST, 40))
def test_no_part_of_a_curve_is_left_out(values: list[float], most: int) -> None:
    places = list(kept(values, most))

    longest = max((later - one for one, later in pairwise(places)), default=0)
    assert longest <= 2 * (1 + len(values) / ((most - 2) // 2))
    if len(values) <= most:
        assert places == list(range(len(values)))
