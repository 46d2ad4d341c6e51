"""Random search: a pure function of (seed, number), uniform in the cube, and the same in every process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sturgeon.messages import Search
from sturgeon.search.memo import Memo
from sturgeon.search.random import random_search
from sturgeon.search.registry import REGISTERED, SAMPLERS, load_sampler, search_problems
from sturgeon.search.samplers import NOTHING, RegisteredSampler, Sample, Sampler, trial_seed, uniform_point
from sturgeon.space import Space

SPACE = Space.model_validate(
    {
        "x": {"type": "float", "low": 0, "high": 1},
        "fixed": {"type": "fixed", "value": 3},
        "n": {"type": "int", "low": 1, "high": 9},
    }
)


def test_a_point_has_a_coordinate_a_searched_parameter() -> None:
    point = random_search(SPACE, 7, 0, NOTHING).point

    assert len(point) == len(SPACE.searched) == 2
    assert all(0 <= u < 1 for u in point)


def test_the_same_seed_and_number_give_the_same_point_in_another_process() -> None:
    program = (
        "from sturgeon.search.samplers import uniform_point, trial_seed\n"
        "print(uniform_point(7, 3, 2), trial_seed(7, 3))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == f"{uniform_point(7, 3, 2)} {trial_seed(7, 3)}"


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (7, 3), (2**63 - 1, 2**31 - 1)])
def test_the_generator_that_is_kept_gives_the_bits_of_a_new_one(seed: int, number: int) -> None:
    def new(key: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=key))

    key = seed | number << 64
    for dimensions in (3, 1):
        assert uniform_point(seed, number, dimensions) == tuple(new(key).random(dimensions))
        assert trial_seed(seed, number) == new(key | 1 << 127).integers(2**63 - 1, endpoint=True)


def test_points_of_all_numbers_are_uniform_and_not_alike() -> None:
    points = np.array([uniform_point(7, number, 3) for number in range(20_000)])

    for axis in points.T:
        assert stats.kstest(axis, "uniform").pvalue > 0.001
    assert np.abs(np.corrcoef(points.T) - np.eye(3)).max() < 0.03
    assert abs(np.corrcoef(points[:-1, 0], points[1:, 0])[0, 1]) < 0.03


def test_points_of_neighbouring_seeds_are_not_alike() -> None:
    first = np.array([uniform_point(seed, 0, 1)[0] for seed in range(20_000)])

    assert stats.kstest(first, "uniform").pvalue > 0.001
    assert len(set(first.tolist())) == 20_000


def test_another_seed_is_another_sequence_and_not_a_shifted_one() -> None:
    pairs = [(seed, number) for seed in range(40) for number in range(40)]

    assert len({uniform_point(*pair, 1) for pair in pairs}) == len({trial_seed(*pair) for pair in pairs}) == 1600


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("number", [0, 1, 2**31 - 1])
def test_every_seed_and_number_that_a_message_takes_is_drawn(seed: int, number: int) -> None:
    assert len(uniform_point(seed, number, 100)) == 100
    assert 0 <= trial_seed(seed, number) < 2**63


def test_a_trials_own_seed_is_apart_from_its_point() -> None:
    seeds = [trial_seed(7, number) for number in range(1000)]
    points = [uniform_point(7, number, 1)[0] for number in range(1000)]

    assert len(set(seeds)) == 1000
    assert abs(np.corrcoef(seeds, points)[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("name", "needs"), [("random", False), ("sobol", False), ("grid", False), ("coarse_to_fine", True)]
)
def test_what_needs_no_history_is_drawn_inside_the_write_transaction(name: str, needs: bool) -> None:
    sampler = SAMPLERS[name]({}, Memo())

    assert (sampler.name, sampler.needs_history) == (name, needs)


def test_each_sampler_that_a_study_can_name_is_registered_and_stands_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()

    assert list(SAMPLERS) == list(REGISTERED) == ["coarse_to_fine", "random", "sobol", "grid"]
    for name, sampler in REGISTERED.items():
        assert f"`{name}`" in readme
        assert set(sampler.options) <= set(Search.model_fields)


def test_a_new_sampler_is_a_module_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module builds it and says which options it has; nothing else has to know of it."""

    def build(options: Mapping[str, Any], _memo: Memo) -> Sampler:
        return Sampler("toy", 1, lambda space, *_: Sample((options["points"] / 10,) * len(space.searched)))

    module = ModuleType("sturgeon.search.toy")
    module.SAMPLER = RegisteredSampler(  # type: ignore[attr-defined]
        build, options=("points",), recorded=lambda search, *_: {"points": search.points or 5}
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(REGISTERED, "toy", load_sampler("toy"))
    search = Search.model_construct(sampler="toy", cost_aware=True)

    options = REGISTERED["toy"].recorded(search, SPACE, 100)

    assert REGISTERED["toy"].build(options, Memo()).draw(SPACE, 7, 0, NOTHING).point == (0.5, 0.5)
    [problem] = search_problems(search, SPACE)
    assert problem.detail == "cost_aware: only the sampler coarse_to_fine has it; leave it out with toy"
    assert search_problems(search.model_copy(update={"cost_aware": None, "points": 3}), SPACE) == []
    [problem] = search_problems(Search(points=3), SPACE)
    assert problem.detail == "points: only the sampler grid or toy has it; leave it out with coarse_to_fine"
