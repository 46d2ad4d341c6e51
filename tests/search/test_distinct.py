"""No set of parameters is drawn twice while another one is left, by any sampler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sturgeon.search.cube import Cube
from sturgeon.search.distinct import MOST_CELLS, NO_KEYS, Unseen, can_repeat
from sturgeon.search.grid import grid_points
from sturgeon.search.keys import keys_of
from sturgeon.search.memo import Memo, cube_of
from sturgeon.search.registry import SAMPLERS
from sturgeon.search.samplers import Finished, History, Point, Running
from sturgeon.space import Space

pytestmark = pytest.mark.fault("W7")

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("random", {}),
    ("sobol", {}),
    ("grid", {"points": 100_000}),
    ("coarse_to_fine", {}),
    ("coarse_to_fine", {"model": "boxes"}),
]

SPACES: dict[str, tuple[int | None, dict[str, Any]]] = {
    "plain": (
        108,
        {
            "layers": {"type": "int", "low": 1, "high": 6},
            "optimizer": {"type": "choice", "values": ["adam", "momentum", "sgd"]},
            "batch": {"type": "choice", "values": [16, 32, 64, 128, 256, 512], "ordered": True},
        },
    ),
    "conditions": (
        1 + 5 + 32,
        {
            "units": {"type": "int", "low": 1, "high": 32, "scale": "log", "when": {"kind": ["wide"]}},
            "kind": {"type": "choice", "values": ["none", "deep", "wide"]},
            "depth": {"type": "int", "low": 2, "high": 10, "step": 2, "when": {"kind": ["deep"]}},
        },
    ),
    "nested": (
        1 + 2 + 3 * 4,
        {
            "a": {"type": "choice", "values": [1, 2]},
            "b": {"type": "int", "low": 0, "high": 4, "when": {"a": [2]}},
            "c": {"type": "choice", "values": ["x", "y", "z", "w"], "when": {"b": [1, 2, 3]}},
        },
    ),
    "one": (1, {"only": {"type": "choice", "values": ["this"]}}),
    "real": (
        None,
        {
            "penalty": {"type": "choice", "values": ["none", "l1", "l2"]},
            "weight": {"type": "float", "low": 1e-5, "high": 1, "scale": "log", "when": {"penalty": ["l2"]}},
        },
    ),
    "floats": (
        None,
        {
            "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
            "kind": {"type": "choice", "values": ["a", "b", "c"]},
            "n": {"type": "int", "low": 1, "high": 3},
        },
    ),
    "many": (None, {"a": {"type": "int", "low": 1, "high": 10**9}, "b": {"type": "int", "low": 1, "high": 9}}),
}


def drawn(space: Space, name: str, options: dict[str, Any], in_flight: int = 3, lost: int = 0) -> Iterator[Point]:
    """Draws with so many trials in flight; each `lost`-th of them fails, and so has no result."""
    sampler = SAMPLERS[name](options, Memo())
    finished: tuple[Finished, ...] = ()
    running: tuple[Running, ...] = ()
    handed_out: tuple[Point, ...] = ()
    number = 0
    while True:
        point = sampler.draw(space, 3, number, History(finished, running, handed_out)).point
        yield point
        handed_out, running = (*handed_out, point), (*running, Running(number, point))
        if len(running) > in_flight:
            ended, *rest = running
            running = tuple(rest)
            if not lost or ended.number % lost:
                finished = (*finished, Finished(ended.number, ended.point, sum(ended.point)))
        number += 1


def params_of(space: Space, points: Iterator[Point], count: int) -> list[str]:
    return [repr(sorted(space.decode(next(points)).items())) for _ in range(count)]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("lost", [0, 4])
@pytest.mark.parametrize("kind", ["plain", "conditions", "nested", "one"])
def test_the_whole_of_a_small_space_is_drawn_before_anything_again(
    kind: str, name: str, options: dict[str, Any], lost: int
) -> None:
    size, parameters = SPACES[kind]
    assert size is not None
    space = Space.model_validate(parameters)

    params = params_of(space, drawn(space, name, options, lost=lost), size)

    assert len(set(params)) == size


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["real", "floats", "many"])
def test_where_there_is_no_end_nothing_is_drawn_again(kind: str, name: str, options: dict[str, Any]) -> None:
    space = Space.model_validate(SPACES[kind][1])

    assert len(set(params_of(space, drawn(space, name, options), 60))) == 60


@pytest.mark.parametrize("name", ["random", "sobol", "coarse_to_fine"])
def test_after_all_were_drawn_those_that_failed_come_first(name: str) -> None:
    space = Space.model_validate(SPACES["nested"][1])
    points = drawn(space, name, {}, in_flight=0, lost=5)
    first = params_of(space, points, 15)
    failed = {first[number] for number in (0, 5, 10)}

    again = params_of(space, points, 2)  # the trials 15 and 16; the former fails as well

    assert set(again) <= failed
    assert len(set(params_of(space, points, 5))) >= 1  # and then it goes on


def test_a_grid_has_each_set_of_parameters_once() -> None:
    for kind in ("plain", "conditions", "nested", "one"):
        size, parameters = SPACES[kind]
        space = Space.model_validate(parameters)
        points = grid_points(space, 1, 100_000)
        assert len(points) == len({repr(space.decode(point)) for point in points.tolist()}) == size


@pytest.mark.parametrize("size", [1, 2, 5, 7, 20, 100])
def test_a_grid_is_as_large_as_its_conditions_allow(size: int) -> None:
    """`rare` is a float that one value of ten brings into play; what is active nowhere takes no points."""
    space = Space.model_validate(
        {
            "rare": {"type": "float", "low": 0, "high": 1, "when": {"kind": [7]}},
            "kind": {"type": "choice", "values": list(range(10))},
            "n": {"type": "int", "low": 1, "high": 3, "when": {"kind": [0, 5]}},
        }
    )

    points = grid_points(space, 1, size)

    assert len({repr(space.decode(point)) for point in points.tolist()}) == len(points) <= size
    assert len(points) > 0.5 * size


@st.composite
def small_spaces(draw: st.DrawFn) -> Space:
    chosen: dict[str, Any] = {}
    for i in range(draw(st.integers(1, 4))):
        low, high = draw(st.integers(1, 3)), draw(st.integers(4, 7))
        parameter = draw(
            st.sampled_from(
                [
                    {"type": "int", "low": low, "high": high},
                    {"type": "int", "low": low, "high": high, "scale": "log"},
                    {"type": "choice", "values": list(range(low, high))},
                    {"type": "choice", "values": list(range(low, high)), "ordered": True},
                ]
            )
        )
        if chosen and draw(st.booleans()):
            parent = draw(st.sampled_from(sorted(chosen)))
            parameter = parameter | {"when": {parent: [3]}}
        chosen[f"p{i}"] = parameter
    names = draw(st.permutations(sorted(chosen)))
    return Space.model_validate({name: chosen[name] for name in names})


@settings(max_examples=60, deadline=None)
@given(small_spaces(), st.data())
def test_all_cells_are_what_the_points_of_the_cube_decode_to(space: Space, data: st.DataObject) -> None:
    cube = Cube(space)
    cells = cube.all_cells(MOST_CELLS)

    assert cells is not None
    assert can_repeat(space)
    known = {cell.tobytes() for cell in cells}
    decoded = {repr(space.decode(cell)) for cell in cells.tolist()}
    assert len(known) == len(decoded) == len(cells)
    for _ in range(20):
        point = data.draw(st.tuples(*[st.floats(0, 1)] * cube.dimensions))
        assert cube.snap(np.array([point]))[0].tobytes() in known
        assert repr(space.decode(point)) in decoded


def test_a_point_alone_has_the_key_that_it_has_among_others() -> None:
    points = np.random.default_rng(3).random((50, 7))
    points[0], points[1] = 0.0, -0.0

    assert [keys_of(point[None])[0] for point in points] == keys_of(points).tolist()


def test_keys_added_one_by_one_make_the_set_of_all() -> None:
    keys = keys_of(np.random.default_rng(4).random((60, 2)))
    one_by_one = NO_KEYS
    for key in [*keys, *keys[:5]]:
        one_by_one = one_by_one.with_keys(np.array([key]))

    assert np.array_equal(one_by_one.recent, np.sort(keys))


def test_a_cube_is_kept_for_the_same_parameters_and_constraints_alone() -> None:
    space, memo = Space.model_validate({name: {"type": "int", "low": 1, "high": 3} for name in "ab"}), Memo()
    cube = cube_of(space, memo)
    others = (
        space.constrained(["a <= b"]),
        Space(dict(reversed(space.root.items()))),
        Space({"a": space["a"], "c": space["b"]}),
        Space({"a": space["a"]}),
    )

    assert cube_of(Space(dict(space.root)), memo) is cube
    assert [cube_of(other, memo).space == other for other in others] == [True] * 4


def test_the_best_point_may_be_drawn_and_is_no_unknown_one() -> None:
    cube = Cube(Space.model_validate({"a": {"type": "float", "low": 0, "high": 1}}))
    points = np.array([[0.1], [0.2], [0.3], [0.4]])
    unseen = Unseen(cube, NO_KEYS.with_keys(keys_of(points[:1])))

    assert unseen.best(points, np.array([0.0, 2.0, 1.0, 1.0])) == 2
    assert unseen.best(points[1:], np.array([np.nan, 1.0, 0.5])) == 2
    assert unseen.best(points[:1], np.array([0.0])) is None
