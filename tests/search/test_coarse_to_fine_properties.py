from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from sturgeon.search.coarse_to_fine import Options, prepare, recommend, suggest
from sturgeon.search.cube import Cube
from sturgeon.search.grid import grid_search
from sturgeon.search.memo import Memo
from sturgeon.search.rounds import importance, round_at
from sturgeon.search.samplers import Finished, History, Running, Sample, uniform_point
from sturgeon.search.scores import first_round_size, round_starts
from sturgeon.search.sobol import sobol_search
from sturgeon.space import Space
from sturgeon.space.conditions import Range
from tests.search.spaces import histories, spaces

SPACE = Space.model_validate(
    {
        "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "units": {"type": "int", "low": 16, "high": 128, "scale": "log"},
        "optimizer": {"type": "choice", "values": ["adam", "momentum", "sgd"]},
        "momentum": {
            "type": "float",
            "low": 0.8,
            "high": 0.99,
            "scale": "one_minus_log",
            "when": {"optimizer": ["momentum"]},
        },
    }
)


def history_of(scores: list[float | None], running: int = 0) -> History:
    finished = tuple(Finished(i, uniform_point(5, i, 4), score) for i, score in enumerate(scores))
    return History(finished, tuple(Running(len(scores) + i, uniform_point(6, i, 4)) for i in range(running)))


def assert_inside(space: Space, sample: Sample) -> None:
    """The point decodes to parameters that the space takes back, to the very same parameters. Who lies at an end of a
    condition's range may lie beyond it when it comes back: its last bit is another one."""
    assert all(0.0 <= u <= 1.0 for u in sample.point)
    params = space.decode(sample.point)
    again = space.decode(space.encode(params))
    if not lies_at_an_end(space, params):
        assert again.keys() == params.keys()
    for name, value in params.items():
        if name in again:
            assert again[name] == (pytest.approx(value, rel=1e-12, abs=1e-300) if isinstance(value, float) else value)


def lies_at_an_end(space: Space, params: Mapping[str, Any]) -> bool:
    """Whether a real number is as good as an end of a range on which another parameter depends."""
    ends = [
        (params.get(parent), end)
        for parameter in space.root.values()
        for parent, condition in (parameter.when or {}).items()
        if isinstance(condition, Range)
        for end in condition.model_dump().values()
    ]
    return any(isinstance(value, float) and value == pytest.approx(end, rel=1e-12) for value, end in ends)


@hypothesis.settings(max_examples=60)
@hypothesis.given(data=st.data(), seed=st.integers(0, 2**63 - 1), number=st.integers(0, 10**6))
def test_any_space_and_history_gives_a_point_inside(data: st.DataObject, seed: int, number: int) -> None:
    """Up to 20 dimensions, conditions, diverged and infinite scores, ties: never an error, never outside."""
    space = data.draw(spaces())
    history = data.draw(histories(space))
    model = data.draw(st.sampled_from(["gp", "boxes"]))
    assert_inside(space, suggest(space, seed, number, history, Options(model=model)))


@hypothesis.settings(max_examples=40)
@hypothesis.given(data=st.data(), number=st.integers(0, 1000))
def test_what_is_remembered_between_calls_changes_no_bit(data: st.DataObject, number: int) -> None:
    space = data.draw(spaces(most=6))
    history = data.draw(histories(space))
    memo = Memo()
    for grown in range(max(0, len(history.finished) - 3), len(history.finished) + 1):
        seen = History(history.finished[:grown], history.running)
        for t in (number, number + 1, number + 2):
            assert suggest(space, 3, t, seen, memo=memo) == suggest(space, 3, t, seen)


@hypothesis.settings(max_examples=25)
@hypothesis.given(data=st.data())
def test_a_round_of_any_history_can_be_stored_and_sent(data: st.DataObject) -> None:
    """What people see has no infinity and no NaN, whatever the scores."""
    space = data.draw(spaces(most=6))
    finished = data.draw(histories(space, least=first_round_size(len(space.searched)))).finished
    starts = round_starts(len(space.searched), len(finished))
    for model in ("gp", "boxes"):
        rounds = [round_at(space, 1, finished[:at], n, Options(model=model)) for n, at in enumerate(starts, 1)]
        assert rounds
        json.dumps([known.body() for known in rounds], allow_nan=False)
    shares = importance(space, 1, finished)
    assert list(shares) == list(space.searched)
    assert all(0 <= of.share <= 1 and of.spread >= 0 for of in shares.values())


@hypothesis.settings(max_examples=40)
@hypothesis.given(data=st.data(), number=st.integers(0, 10**7))
def test_sobol_and_grid_stay_inside(data: st.DataObject, number: int) -> None:
    space = data.draw(spaces())
    assert_inside(space, sobol_search(space, 1, number, History((), ())))
    assert_inside(space, grid_search(space, 1, number, 100))


@pytest.mark.parametrize("finished", range(7))
@pytest.mark.parametrize("running", [0, 1, 40])
def test_the_first_finished_trials_break_nothing(finished: int, running: int) -> None:
    history = history_of([0.5 - 0.01 * i for i in range(finished)], running)
    for number in range(12):
        assert_inside(SPACE, suggest(SPACE, 1, number, history))


@pytest.mark.parametrize(
    "scores",
    [
        [1.0] * 30,
        [None] * 30,
        [1.0] * 15 + [None] * 15,
        [0.0] * 20 + [1e-300] * 10,
        [float("inf"), float("-inf"), float("nan"), None] * 8,
        [1e308, -1e308] * 15,
        [1.0 + 1e-16 * i for i in range(30)],
        [float(i % 2) for i in range(30)],
    ],
    ids=["equal", "all diverged", "half diverged", "tiny", "not finite", "huge", "rounding apart", "ties"],
)
def test_scores_that_say_little_break_no_round(scores: list[float | None]) -> None:
    history = history_of(scores, 3)
    samples = [suggest(SPACE, 1, number, history) for number in range(30, 42)]
    for sample in samples:
        assert_inside(SPACE, sample)
    assert len({sample.point for sample in samples}) == len(samples)


def test_repeated_points_with_different_scores_are_taken_as_noise() -> None:
    point = uniform_point(1, 1, 4)
    finished = tuple(Finished(i, point, float(i % 3)) for i in range(150))
    assert_inside(SPACE, suggest(SPACE, 1, 150, History(finished, (Running(149, point),))))


def test_a_choice_of_one_value_and_a_thousand_values_break_nothing() -> None:
    space = Space.model_validate(
        {
            "one": {"type": "choice", "values": ["only"]},
            "many": {"type": "choice", "values": list(range(1000))},
            "large": {"type": "int", "low": -(2**53), "high": 2**53},
        }
    )
    finished = tuple(Finished(i, uniform_point(5, i, 3), float(i % 7)) for i in range(20))
    for number in range(20, 28):
        assert_inside(space, suggest(space, 1, number, History(finished, ())))


def test_a_diverged_region_is_avoided() -> None:
    """Half of the cube diverges: of 40 later trials few go there."""
    space = Space.model_validate(
        {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}}
    )
    finished: tuple[Finished, ...] = ()
    for number in range(50):
        point = suggest(space, 2, number, History(finished, ())).point
        score = None if point[0] > 0.5 else (point[0] - 0.3) ** 2 + (point[1] - 0.6) ** 2
        finished = (*finished, Finished(number, point, score))
    assert sum(trial.score is None for trial in finished[10:]) <= 8


def test_another_process_draws_the_same_points() -> None:
    """No state, no hash order, no clock: only the arguments count."""
    script = (
        "from tests.search.test_coarse_to_fine_properties import SPACE, history_of\n"
        "from sturgeon.search.coarse_to_fine import suggest\n"
        "history = history_of([(i * 37 % 50) / 50 for i in range(40)], 5)\n"
        "print([suggest(SPACE, 9, t, history) for t in range(40, 48)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    history = history_of([(i * 37 % 50) / 50 for i in range(40)], 5)
    assert done.stdout.strip() == str([suggest(SPACE, 9, t, history) for t in range(40, 48)])


def test_recommendation_is_a_finished_trial_with_a_finite_score() -> None:
    for scores in ([None, 2.0], [None] * 9, [None, 1.0] * 9, [float("-inf"), 3.0, 2.0, *[5.0] * 9]):
        number = recommend(SPACE, 1, history_of(scores).finished)
        usable = [i for i, score in enumerate(scores) if score is not None and np.isfinite(score)]
        assert (number in usable) if usable else (number is None)


@hypothesis.given(data=st.data())
def test_snapping_agrees_with_decoding(data: st.DataObject) -> None:
    """A snapped point decodes to what the point does, and what decoding leaves out is inactive."""
    space = data.draw(spaces(most=8))
    cube = Cube(space)
    point = np.array([uniform_point(data.draw(st.integers(0, 10**6)), 1, cube.dimensions)])
    snapped = cube.snap(point)
    before, after = space.decode(point[0].tolist()), space.decode(snapped[0].tolist())
    assert before == after
    assert {name for name, on in zip(cube.names, cube.active(snapped)[0], strict=True) if on} == before.keys()
    assert (snapped[~cube.active(snapped)] == 0.5).all()


@hypothesis.given(st.integers(1, 100), st.integers(1, 1000), st.integers(0, 999), st.integers(-2, 2))
@hypothesis.example(1, 1, 0, 0)
def test_snapping_agrees_with_decoding_at_the_border_between_two_integers(
    low: int, count: int, below: int, ulps: int
) -> None:
    """On a log scale the border is where exp and log round; the integer's own `decode` has the say."""
    space = Space.model_validate({"n": {"type": "int", "low": low, "high": low + count, "scale": "log"}})
    cube = Cube(space)
    ends, border = (low - 0.5, low + count + 0.5), low + below % count + 0.5
    u = math.log(border / ends[0]) / math.log(ends[1] / ends[0])
    u = min(max(u + ulps * math.ulp(u), 0.0), 1.0)

    assert space.decode(cube.settled([u])) == space.decode([u])


def test_one_memo_serves_a_space_that_changes() -> None:
    """A revision of the space, another seed, an invalidated trial: nothing of the old is taken for the new."""
    wider = SPACE.model_copy(update={"root": SPACE.root | {"rate": SPACE["rate"].model_copy(update={"high": 10.0})}})
    history = history_of([(i * 37 % 50) / 50 for i in range(40)], 5)
    fewer = History(history.finished[:20] + history.finished[21:], history.running)
    memo = Memo()
    for space, seed, seen in [(SPACE, 1, history), (wider, 1, history), (SPACE, 2, history), (SPACE, 1, fewer)] * 2:
        assert suggest(space, seed, 45, seen, memo=memo) == suggest(space, seed, 45, seen)


@pytest.mark.fault("W1")
@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(data=st.data(), model=st.sampled_from(["gp", "boxes"]))
def test_one_memo_serves_a_space_whose_parameters_change_places(data: st.DataObject, model: Any) -> None:
    """A reordered space is another one, for `==` as for a memo: its coordinates mean other parameters."""
    space = data.draw(spaces(most=6))
    names = data.draw(st.permutations(list(space)))
    reordered = Space.model_validate({name: space[name].model_dump(exclude_none=True) for name in names})
    assert (reordered == space) == (names == list(space))
    options, memo = Options(model=model), Memo()
    finished = data.draw(histories(space)).finished
    moved = tuple(t._replace(point=reordered.encode(space.decode(t.point))) for t in finished)
    for own, seen in [(space, finished), (reordered, moved), (space, finished)]:
        history = History(seen, ())
        for number in (30, 31, 32):
            assert suggest(own, 3, number, history, options, memo=memo) == suggest(own, 3, number, history, options)


def test_a_memo_tells_a_condition_on_true_from_one_on_1() -> None:
    """For `==` of Python they are the same; for the space they are two values of a choice."""

    def space(wanted: object) -> Space:
        x = {"type": "float", "low": 0, "high": 1, "when": {"c": [wanted]}}
        return Space.model_validate({"c": {"type": "choice", "values": [1, True]}, "x": x})

    history = History(tuple(Finished(i, (i % 2 * 0.5 + 0.25, i / 30), i / 30) for i in range(30)), ())
    memo = Memo()
    for own in (space(1), space(True)):
        drawn = [suggest(own, 1, number, history, memo=memo) for number in range(30, 40)]
        assert drawn == [suggest(own, 1, number, history) for number in range(30, 40)]


def test_what_was_prepared_is_what_is_suggested() -> None:
    history, memo = history_of([(i * 37 % 50) / 50 for i in range(40)], 5), Memo()
    for finished in range(41):
        prepare(SPACE, 1, history.finished[:finished], memo)
    assert suggest(SPACE, 1, 45, history, memo=memo) == suggest(SPACE, 1, 45, history)
