"""Constraints in the search: every sampler satisfies them, and what satisfies them is drawn as before."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sturgeon.search.cube import Cube
from sturgeon.search.feasible import constraint_problems, feasible
from sturgeon.search.grid import grid_left
from sturgeon.search.memo import Memo
from sturgeon.search.preview import preview
from sturgeon.search.random import random_search
from sturgeon.search.registry import SAMPLERS
from sturgeon.search.samplers import NOTHING, Finished, History, Point, Running, Sampler
from sturgeon.search.sobol import sobol_search
from sturgeon.space import Space
from tests.search.spaces import spaces

UNIT = {"type": "float", "low": 0, "high": 1}
SMALL = {"type": "int", "low": 1, "high": 6}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "floats": ({"a": UNIT, "b": UNIT, "c": UNIT}, ["a >= b", "a + c <= 1.2"]),
    "narrow": ({"a": UNIT, "b": UNIT}, ["0.999 <= a / b <= 1.001"]),
    "integers": ({"a": {**SMALL, "high": 1000}, "b": {**SMALL, "high": 1000}}, ["a == b"]),
    "small": (
        {"a": SMALL, "b": SMALL, "o": {"type": "choice", "values": ["x", "y"]}},
        ['a > b or o == "x" and a == b'],
    ),
    "conditions": (
        {"a": SMALL, "b": {**SMALL, "when": {"a": {"at_least": 3}}}, "x": {**UNIT, "when": {"b": {"below": 4}}}},
        ["a * b <= 12", "x < 0.5"],
    ),
    "steps": (
        {
            "a": {**UNIT, "step": 0.1},
            "b": {**UNIT, "step": 0.1},
            "n": {"type": "normal", "mean": 0, "sd": 1},
            "w": {"type": "choice", "values": [1, 2, 3], "weights": [1, 5, 2]},
        },
        ["a + b == 1", "n < w"],
    ),
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("random", {}),
    ("sobol", {}),
    ("grid", {"points": 40}),
    ("coarse_to_fine", {"model": "gp"}),
    ("coarse_to_fine", {"model": "boxes"}),
]


def case(name: str) -> Space:
    root, constraints = CASES[name]
    space = Space.model_validate(root).constrained(constraints)
    assert space.problems() + constraint_problems(space) == []
    return space


def drawn(space: Space, sampler: Sampler, count: int) -> list[Point]:
    """The points of a search in which each second trial still runs; the score is the sum of the coordinates."""
    finished: tuple[Finished, ...] = ()
    running: tuple[Running, ...] = ()
    points: list[Point] = []
    for number in range(count):
        point = sampler.draw(space, 7, number, History(finished, running, tuple(points))).point
        points.append(point)
        if number % 2:
            finished += (Finished(number, point, sum(point)),)
        else:
            running = (*running[-2:], Running(number, point))
    return points


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("sampler", "options"), OPTIONS)
def test_every_sampler_draws_what_satisfies_the_constraints(sampler: str, options: dict[str, Any], name: str) -> None:
    space = case(name)
    points = drawn(space, SAMPLERS[sampler](options, Memo()), 14)

    assert [space.broken(space.decode(point)) for point in points] == [[]] * 14
    if name == "steps":  # without what the memo kept, the same comes out
        assert points[:8] == drawn(space, SAMPLERS[sampler](options, Memo()), 8)


@settings(max_examples=25)
@given(st.data())
def test_a_column_and_a_single_trial_satisfy_the_same_constraints(data: st.DataObject) -> None:
    space = data.draw(spaces(5))
    names = st.sampled_from([f"`{name}`" for name in space])
    sides = st.one_of(names, st.tuples(names, st.sampled_from("+-*/"), names).map(" ".join), st.just("1.5"))
    compared = st.tuples(sides, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), names).map(" ".join)
    text = data.draw(st.one_of(compared, st.tuples(compared, st.sampled_from(["and", "or"]), compared).map(" ".join)))
    space = space.constrained([text])
    cube = Cube(space)
    points = cube.snap(np.random.default_rng(data.draw(st.integers(0, 99))).random((12, cube.dimensions)))

    single = [not space.broken(space.decode(point)) for point in points.tolist()]
    assert cube.satisfied(points).tolist() == single


def test_random_search_is_uniform_in_what_satisfies_the_constraints() -> None:
    space = Space.model_validate({"a": UNIT, "b": UNIT}).constrained(["a >= b"])
    points = np.array([random_search(space, 3, number, NOTHING).point for number in range(300)])

    assert stats.kstest(points[:, 0], lambda x: x**2).pvalue > 0.001
    assert stats.kstest(points[:, 1] / points[:, 0], "uniform").pvalue > 0.001


def test_sobol_covers_evenly_what_satisfies_the_constraints() -> None:
    space = Space.model_validate({"a": UNIT, "b": UNIT}).constrained(["a >= b"])
    memo = Memo()
    points = np.array([sobol_search(space, 3, number, NOTHING, memo=memo).point for number in range(128)])

    assert len({tuple(point) for point in points.tolist()}) == 128
    by_quarter = np.histogram(points[:, 0], [0, 0.5, 0.70710678, 0.8660254, 1])[0]  # of equal area
    assert np.abs(by_quarter - 32).max() <= 4  # chance alone would leave more than that 9 times in 10


@pytest.mark.parametrize(("sampler", "options"), [one for one in OPTIONS if one[0] != "grid"])
def test_all_that_satisfies_the_constraints_is_drawn_before_any_again(sampler: str, options: dict[str, Any]) -> None:
    space = case("small")
    allowed = {
        (a, b, o) for a, b, o in itertools.product(range(1, 7), range(1, 7), "xy") if a > b or (o == "x" and a == b)
    }
    points = drawn(space, SAMPLERS[sampler](options, Memo()), len(allowed))

    assert {tuple(space.decode(point).values()) for point in points} == allowed


def test_a_grid_has_as_many_points_as_satisfy_the_constraints() -> None:
    space = case("floats")
    points = [SAMPLERS["grid"]({"points": 40}, Memo()).draw(space, 7, n, NOTHING).point for n in range(40)]

    assert 20 <= len(set(points)) <= 40
    assert grid_left(space, 7, 40, NOTHING) == len(set(points))


def test_a_space_in_which_nothing_satisfies_the_constraints_is_told() -> None:
    space = Space.model_validate({"a": UNIT, "b": UNIT}).constrained(["a + b == 1", "a > 2 * b + 1"])

    [problem] = constraint_problems(space)
    assert "none of 65536 points of the space satisfies all constraints" in problem.detail
    one = Space.model_validate({"a": {**SMALL, "high": 200}, "b": {**SMALL, "high": 200}}).constrained(["a * b == 1"])
    assert constraint_problems(one) == []
    assert [one.decode(point) for point in feasible(one).points.tolist()] == [{"a": 1, "b": 1}]
    assert one.decode(random_search(one, 1, 5, NOTHING).point) == {"a": 1, "b": 1}


def test_the_preview_says_how_much_satisfies_the_constraints() -> None:
    shown = preview(case("floats").constrained(["a >= b"]), 1, 3)

    assert shown.satisfied == pytest.approx(0.5, abs=0.03)
    assert preview(case("floats").constrained([]), 1, 3).satisfied == 1.0
