"""A score that is far from all others, at either end, hides nothing of what the others say."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from sturgeon.search.coarse_to_fine import Options, best_rows, recommend, suggest
from sturgeon.search.costs import fit_costs
from sturgeon.search.cube import Cube
from sturgeon.search.memo import Memo
from sturgeon.search.rounds import importance, round_at
from sturgeon.search.samplers import Finished, History, uniform_point
from sturgeon.search.scores import standard_scores, too_bad_to_tell
from sturgeon.space import Space

pytestmark = pytest.mark.fault("W4")

HUGE = (1e13, 1e30, 1.7e308, sys.float_info.max)

SPACE = Space.model_validate(
    {
        "x": {"type": "float", "low": 0, "high": 1},
        "y": {"type": "float", "low": 1e-5, "high": 1, "scale": "log"},
        "k": {"type": "choice", "values": ["a", "b", "c"]},
    }
)


def loss(point: tuple[float, ...]) -> float:
    """Least at x = 0.3, y = 1e-3, k = b; y matters more than x."""
    x, log_y, k = point
    return (x - 0.3) ** 2 + 4 * (log_y - 0.4) ** 2 + (0 if int(k * 3) == 1 else 0.2)


def told(*scores: float) -> list[Finished]:
    return [Finished(number, (), score) for number, score in enumerate(scores)]


def searched(penalty: float, limit: float, options: Options | None = None) -> tuple[Finished, ...]:
    """40 trials, of which those beyond x = `limit` get the penalty instead of their loss."""
    finished: tuple[Finished, ...] = ()
    memo = Memo()
    for number in range(40):
        point = suggest(SPACE, 1, number, History(finished, ()), options or Options(), memo=memo).point
        finished = (*finished, Finished(number, point, penalty if point[0] > limit else loss(point)))
    return finished


def uniform(penalty: float, every: int) -> tuple[Finished, ...]:
    """40 uniform trials, of which each `every`-th has the penalty, whatever its parameters are."""
    points = [uniform_point(1, number, 3) for number in range(40)]
    return tuple(Finished(n, point, loss(point) if n % every else penalty) for n, point in enumerate(points))


@pytest.mark.parametrize("penalty", HUGE)
@pytest.mark.parametrize("scale", [1.0, 1e-300])
def test_however_large_one_score_is_the_others_keep_their_spread(penalty: float, scale: float) -> None:
    scores = [scale * k for k in (1, 2, 3, 4, 5)]

    huge, large = standard_scores(told(*scores, penalty)), standard_scores(told(*scores, 1000 * scale))

    assert huge == pytest.approx(large, rel=1e-9)
    assert (huge.mean(), huge.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    assert np.all(np.diff(huge) > 0.1)


@pytest.mark.parametrize("penalty", [1e300, *HUGE])
@pytest.mark.parametrize("least", [5e-324, 1e-320, 2.2e-308])
def test_the_least_numbers_beside_a_penalty_keep_their_spread(penalty: float, least: float) -> None:
    scores = [least * k for k in (1, 2, 3, 4, 5)]

    small, usual = told(*scores, penalty), told(1, 2, 3, 4, 5, 1e6)

    assert standard_scores(small) == pytest.approx(standard_scores(usual), rel=1e-2)
    assert too_bad_to_tell(small) == too_bad_to_tell(usual) == {5}


@pytest.mark.parametrize("best", [-1e13, -1e30, -sys.float_info.max])
def test_one_score_far_below_all_others_stays_the_best_and_hides_none(best: float) -> None:
    z = standard_scores(told(best, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1e300))

    assert np.all(np.diff(z[:9]) > 0.04)
    assert z[0] > -4


@pytest.mark.parametrize("penalty", [1e6, *HUGE])
@pytest.mark.parametrize("fine", [3, 4, 9])
def test_where_most_trials_have_a_penalty_the_others_still_differ(penalty: float, fine: int) -> None:
    scores = [0.1 * k for k in range(fine)] + [penalty] * 7 + [penalty / 10] * 5

    z = standard_scores(told(*scores))

    assert np.all(np.diff(z[:fine]) > 0.1)
    assert z[fine:] == pytest.approx(z.max())


def test_scores_of_every_size_that_spread_alike_look_alike() -> None:
    expected = standard_scores(told(1, 2, 4, 7, 11))
    for unit in (1e-310, 1e-300, 1e-160, 1e13, 1e160, 1.5e307):
        assert standard_scores(told(*(unit * k for k in (1, 2, 4, 7, 11)))) == pytest.approx(expected, rel=1e-9)
        assert standard_scores(told(*(unit * k for k in (-11, -10, -8, -5, -1)))) == pytest.approx(expected, rel=1e-9)


def test_scores_that_differ_by_rounding_alone_are_equal() -> None:
    assert not standard_scores(told(0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2)).any()
    assert not standard_scores(told(1e308, math.nextafter(1e308, 0))).any()


@pytest.mark.parametrize("penalty", HUGE)
@pytest.mark.parametrize("limit", [0.9, 0.35])
@pytest.mark.parametrize("options", [Options(), Options(model="boxes")])
def test_a_huge_penalty_does_not_blind_the_search(penalty: float, limit: float, options: Options) -> None:
    """The textbook zoom is less exact than the model. x > 0.35 forbids most of the space."""
    finished = searched(penalty, limit, options)

    best = min(finished, key=lambda trial: trial.score or 0.0)

    assert best.score is not None
    assert best.score < (0.03 if options.model == "gp" else 0.1)
    assert recommend(SPACE, 1, finished) in {trial.number for trial in finished if (trial.score or 0.0) < 0.1}


@pytest.mark.parametrize("penalty", HUGE)
def test_penalties_change_neither_importance_nor_elites_nor_the_winner(penalty: float) -> None:
    """One trial of 8 has a penalty at random; how large it is makes no difference."""
    huge, mild = uniform(penalty, 8), uniform(100.0, 8)

    assert importance(SPACE, 1, huge) == importance(SPACE, 1, mild)
    assert max(importance(SPACE, 1, huge).values()).share > 0.36
    assert round_at(SPACE, 1, huge, 3) == round_at(SPACE, 1, mild, 3)
    assert best_rows(Cube(SPACE), huge) == best_rows(Cube(SPACE), mild)
    assert recommend(SPACE, 1, huge) == recommend(SPACE, 1, mild)


VALLEY = Space.model_validate(
    {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "beta": {"type": "float", "low": 0.5, "high": 0.999, "scale": "one_minus_log"},
    }
)


def momentum(learning_rate: float, beta: float) -> float:
    """The loss after 50 steps in the valley x^2 + 10 y^2, as in examples/own_code.py; too large rates explode."""
    x, y, vx, vy = 4.0, 2.0, 0.0, 0.0
    for _ in range(50):
        vx, vy = beta * vx + (1 - beta) * 2 * x, beta * vy + (1 - beta) * 20 * y
        x, y = x - learning_rate * vx, y - learning_rate * vy
    return float(x**2 + 10 * y**2)


@pytest.mark.parametrize("seed", [11, 18])
def test_a_trial_that_exploded_is_not_recommended_for_what_its_neighbours_reached(seed: int) -> None:
    """The learning rates just below the one that explodes are the best, so the model takes the explosion for noise."""
    finished: tuple[Finished, ...] = ()
    memo = Memo()
    for number in range(20):
        point = suggest(VALLEY, seed, number, History(finished, ()), Options(), memo=memo).point
        finished = (*finished, Finished(number, point, momentum(**VALLEY.decode(point))))
    scores = [trial.score for trial in finished if trial.score is not None]
    assert max(scores) > 1e90

    recommended = recommend(VALLEY, seed, finished)

    assert recommended is not None
    assert scores[recommended] < 1e-9


@pytest.mark.parametrize("odd", [1e13, 1e30, 1.7e308, 5e-324])
def test_one_huge_or_tiny_time_hides_no_costs(odd: float) -> None:
    cube = Cube(Space.model_validate({"x": SPACE["x"]}))
    finished = [Finished(n, (n / 30,), 1.0, math.exp(3 * n / 30)) for n in range(30)]
    finished[7] = finished[7]._replace(seconds=odd)

    costs = fit_costs(cube, finished)

    assert costs is not None
    cheap, dear = costs.log_seconds(np.array([[0.6], [0.9]]))
    assert dear - cheap == pytest.approx(0.9, abs=0.4)
