from __future__ import annotations

import math

import numpy as np
import pytest

from sturgeon.search.acquisition import log_expected_improvement, neighbours_vote
from sturgeon.search.boxes import WHOLE_SPACE, draw, elite_rows, near
from sturgeon.search.coarse_to_fine import Options, kernel_params_of, posterior_of, recommend, suggest
from sturgeon.search.costs import fit_costs
from sturgeon.search.cube import Cube
from sturgeon.search.grid import grid_search
from sturgeon.search.memo import Memo
from sturgeon.search.posterior import chosen_rows, conditioned, with_running
from sturgeon.search.rounds import Round, importance, round_at
from sturgeon.search.samplers import Finished, History, Running, uniform_point
from sturgeon.search.scores import first_round_size, round_starts, standard_scores
from sturgeon.search.sobol import sobol_point
from sturgeon.search.surrogate import KernelParams, fit_kernel_params, matern, prior_kernel_params
from sturgeon.search.surrogate import _loss as loss
from sturgeon.space import Space


def reals(count: int) -> Space:
    return Space.model_validate({f"x{i}": {"type": "float", "low": 0, "high": 1} for i in range(count)})


def finished_by(space: Space, count: int, seed: int = 1) -> tuple[Finished, ...]:
    """A search for x0 = 0.3, x1 = 1.0; the other coordinates do not matter."""
    finished: tuple[Finished, ...] = ()
    memo = Memo()
    for number in range(count):
        point = suggest(space, seed, number, History(finished, ()), memo=memo).point
        finished = (*finished, Finished(number, point, (point[0] - 0.3) ** 2 + (1 - point[1]) ** 2))
    return finished


def newest_round(space: Space, finished: tuple[Finished, ...]) -> Round:
    starts = round_starts(len(space.searched), len(finished))
    return round_at(space, 1, finished[: starts[-1]], len(starts))


def random_array(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape)


def test_scores_are_standardised_and_outliers_count_no_more_than_twice_the_lead() -> None:
    finished = [Finished(i, (), score) for i, score in enumerate([1.0, 2.0, 3.0, 4.0, 1e9, None])]
    z = standard_scores(finished)
    assert z[4] == z[5] == z.max()
    assert (z.mean(), z.std()) == (pytest.approx(0.0, abs=1e-12), pytest.approx(1.0))
    # median of (1, 2, 3, 4, 1e9, 1e9) is 3.5; the lead 2.5; the cap 8.5
    assert (z[4] - z[0]) / (z[1] - z[0]) == pytest.approx(7.5)


def test_rounds_start_when_the_note_says() -> None:
    assert [first_round_size(d) for d in (1, 3, 5, 9, 20)] == [4, 4, 6, 10, 10]
    assert round_starts(5, 60) == [6, 10, 14, 18, 22, 26, 30, 35, 41, 48, 56]
    assert round_starts(5, 5) == []


def test_the_first_trials_are_sobol_points_and_say_round_0() -> None:
    space = reals(3)
    samples = [suggest(space, 7, number, History((), ())) for number in range(4)]
    assert [sample.point for sample in samples] == [sobol_point(7, number, 3) for number in range(4)]
    assert {sample.round for sample in samples} == {0}


def test_a_grid_visits_each_of_its_points_once() -> None:
    space = Space.model_validate(
        {
            "x": {"type": "float", "low": 0, "high": 1},
            "c": {"type": "choice", "values": ["a", "b"]},
            "k": reals(1)["x0"],
        }
    )
    points = {grid_search(space, 1, number, 100).point for number in range(98)}
    assert len(points) == 98
    assert [len({p[j] for p in points}) for j in range(3)] == [7, 2, 7]


def test_the_gradient_of_the_fit_is_the_slope_of_its_loss() -> None:
    """Along a random direction at a random place."""
    random = np.random.default_rng(0)
    z, flat = random.standard_normal(25), None
    points = random.random((25, 4))
    flat = np.ascontiguousarray(((points[:, None] - points[None]) ** 2).reshape(-1, 4).T)
    theta, direction = np.append(random.standard_normal(4), -3.0), random.standard_normal(5)
    ahead, behind = (loss(theta + step * direction, flat, z)[0] for step in (1e-6, -1e-6))
    assert loss(theta, flat, z)[1] @ direction == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_the_fit_sees_which_coordinates_matter() -> None:
    points = random_array(60, 4)
    fitted = fit_kernel_params(Cube(reals(4)), points, np.sin(9 * points[:, 1]))
    assert fitted.relevance[1] > 0.6
    assert fitted.stretch[1] == 0.25


def test_running_trials_count_as_finished_at_their_predicted_scores() -> None:
    """The block of the Cholesky factor against the whole, and the prediction does not move."""
    cube, kernel_params = Cube(reals(3)), KernelParams(np.array([2.0, 3.0, 1.0]), 0.01)
    points, running, asked = np.split(random_array(30, 3), [15, 20])
    z = np.sin(5 * points).sum(axis=1)
    alone = conditioned(cube, kernel_params, points, z)
    fantasy = with_running(alone, running)
    mean, deviation = fantasy.predict(asked)
    at_running = with_running(alone, running[:0]).predict(running)[0]
    both = np.concatenate([points, running])
    gaps = (((both[:, None] - both[None]) * kernel_params.inverse) ** 2).sum(axis=2)
    across = matern((((both[:, None] - asked[None]) * kernel_params.inverse) ** 2).sum(axis=2))
    inverse = np.linalg.inv(matern(gaps) + 0.01 * np.eye(20))
    assert fantasy.z[15:] == pytest.approx(at_running)
    assert mean == pytest.approx(np.concatenate([z, at_running]) @ inverse @ across)
    share = 1 - np.einsum("ij,ik,kj->j", across, inverse, across)
    assert deviation == pytest.approx(np.sqrt(alone.variance * share))


def test_the_model_is_sure_where_a_trial_runs() -> None:
    cube = Cube(reals(2))
    alone = conditioned(cube, prior_kernel_params(2), random_array(10, 2), random_array(10))
    there = np.array([[0.05, 0.95]])
    without, with_it = (with_running(alone, there[:n]).predict(there)[1][0] for n in (0, 1))
    assert with_it < 0.2 * without


def test_of_many_trials_the_model_takes_the_best_and_some_of_all_others() -> None:
    z = random_array(1000)
    rows = chosen_rows(z)
    assert len(set(rows.tolist())) == 100
    assert set(np.argsort(z)[:50].tolist()) <= set(rows.tolist())
    assert z.argmax() in rows


@pytest.mark.parametrize("u", [-30.0, -5.0, -1.0001, -0.9999, 0.0, 3.0])
def test_expected_improvement_is_the_integral_that_it_names(u: float) -> None:
    from scipy.integrate import quad

    def integrand(y: float) -> float:
        return -y * math.exp(-0.5 * (y - 2.0 * -u / 2.0) ** 2) / math.sqrt(2 * math.pi)

    value = log_expected_improvement(np.array([-u * 3.0]), np.array([3.0]), 0.0)[0]
    integral = quad(integrand, -u - 40 if u > 0 else -40.0, 0.0, points=[-0.05, -1.0], epsabs=0, limit=500)[0]
    assert value == pytest.approx(math.log(3.0 * integral), rel=1e-5)


def test_expected_improvement_is_finite_and_falls_however_far_out() -> None:
    far = log_expected_improvement(np.array([1e1, 1e3, 0.9e4, 1.1e4, 1e6, 1e9]), np.ones(6), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()


def test_neighbours_vote_for_the_scores_around_them() -> None:
    cube = Cube(reals(1))
    points = np.linspace(0, 1, 11)[:, None]
    fantasy = with_running(
        conditioned(cube, prior_kernel_params(1), points, (points[:, 0] - 0.7) ** 2), np.zeros((0, 1))
    )
    votes = neighbours_vote(fantasy, np.array([[0.1], [0.4], [0.7]]), 0.0)
    assert votes.tolist() == sorted(votes.tolist(), reverse=True)


def test_elites_lie_apart() -> None:
    points = np.array([[0.5, 0.5], [0.52, 0.55], [0.5, 0.7], [0.9, 0.1], [0.1, 0.1]])
    assert elite_rows(Cube(reals(2)), points, np.arange(5)) == [0, 2, 3]


def test_candidates_lie_in_their_boxes_and_a_fifth_anywhere() -> None:
    cube, elites = Cube(reals(3)), np.array([[0.2, 0.5, 0.9], [0.8, 0.5, 0.1]])
    stretch = np.array([0.25, 1.0, 4.0])
    candidates = draw(cube, elites, stretch, 128, np.random.default_rng(1))
    assert (candidates.elite == WHOLE_SPACE).sum() == 25
    for point, elite, level in zip(*candidates, strict=True):
        if elite != WHOLE_SPACE:
            assert (np.abs(point - elites[elite]) <= np.minimum(1.0, stretch * 0.5 ** (level + 1)) + 1e-12).all()
    inside = candidates.level[candidates.elite != WHOLE_SPACE]
    assert np.bincount(inside).tolist() == [26, 26, 26, 25]


def test_refining_keeps_the_centre_and_its_choices() -> None:
    space = Space.model_validate(
        {"c": {"type": "choice", "values": [1, 2, 3]}, "x": {"type": "float", "low": 0, "high": 1}}
    )
    cube = Cube(space)
    centre = cube.snap(np.array([[0.9, 0.4]]))[0]
    points = near(cube, centre, np.ones(2), 32, np.random.default_rng(1))
    assert np.array_equal(points[0], centre)
    assert (points[:, 0] == centre[0]).all()
    assert len(set(points[:, 1])) == 32


def test_it_finds_what_random_search_does_not() -> None:
    """40 trials, 5 coordinates of which 2 matter: a hundredth of random search's median error."""
    best = [min(t.score or 0.0 for t in finished_by(reals(5), 40, seed)) for seed in range(5)]
    random = [
        min((p[0] - 0.3) ** 2 + (1 - p[1]) ** 2 for p in (uniform_point(seed, n, 5) for n in range(40)))
        for seed in range(5)
    ]
    assert np.median(best) < np.median(random) / 100


def test_parallel_trials_are_spread() -> None:
    """16 asked at once, each seeing those before it: no two alike."""
    space = reals(4)
    history = History(finished_by(space, 30), ())
    for number in range(30, 46):
        point = suggest(space, 1, number, history).point
        history = history._replace(running=(*history.running, Running(number, point)))
    points = np.array([trial.point for trial in history.running])
    gaps = np.abs(points[:, None] - points[None]).max(axis=2) + np.eye(16)
    assert gaps.min() > 0.01


def test_a_sample_says_where_it_came_from() -> None:
    space, finished = reals(2), finished_by(reals(2), 30)
    samples = [suggest(space, 1, number, History(finished, ())) for number in range(30, 60)]
    numbers = {trial.number for trial in finished}
    assert {sample.round for sample in samples} == {len(round_starts(2, 30))}
    assert all((s.elite is None) == (s.level is None) for s in samples)
    assert {None} < {s.elite for s in samples} <= {None} | numbers
    assert {None} < {s.level for s in samples} <= {None, 1, 2, 3, 4}


def test_boxes_alone_need_no_model_and_draw_near_the_best() -> None:
    space, finished = reals(2), finished_by(reals(2), 40)
    samples = [suggest(space, 1, number, History(finished, ()), Options(model="boxes")) for number in range(40, 140)]
    away = [s for s in samples if s.elite is None]
    assert 8 <= len(away) <= 35
    centre = {trial.number: trial.point for trial in finished}
    for s in samples:
        if s.elite is not None and s.level is not None:
            assert max(abs(a - b) for a, b in zip(s.point, centre[s.elite], strict=True)) <= 0.5**s.level + 1e-12


def test_inactive_coordinates_are_ignored() -> None:
    """What a fallback drew for a parameter that its trial left out changes nothing."""
    space = Space.model_validate(
        {
            "c": {"type": "choice", "values": ["a", "b"]},
            "x": {"type": "float", "low": 0, "high": 1, "when": {"c": ["b"]}},
        }
    )
    low, high = (
        tuple(Finished(i, (0.25, x) if i % 2 else (0.75, i / 30), i / 30) for i in range(30)) for x in (0.1, 0.9)
    )
    assert [suggest(space, 1, t, History(low, ())) for t in range(30, 40)] == [
        suggest(space, 1, t, History(high, ())) for t in range(30, 40)
    ]


def test_under_noise_the_luckiest_trial_is_not_recommended() -> None:
    """40 trials around 0.3 score about 0, one lucky outlier far away scores a little less than all of them."""
    random = np.random.default_rng(0)
    finished = [Finished(i, (x,), (x - 0.3) ** 2 + 0.02 * e) for i, (x, e) in enumerate(random.random((60, 2)))]
    worst = min(range(60), key=lambda i: abs(finished[i].point[0] - 0.6))
    lucky = [t._replace(score=-0.001) if t.number == worst else t for t in finished]
    number = recommend(reals(1), 1, tuple(lucky))
    assert number is not None
    assert number != worst
    assert abs(finished[number].point[0] - 0.3) < 0.15


@pytest.mark.parametrize("count", [2, 60, 300], ids=["by score", "by model", "by a model of some"])
def test_only_one_of_those_that_are_asked_for_is_recommended(count: int) -> None:
    finished = tuple(Finished(i, (x := (i + 0.5) / count,), (x - 0.3) ** 2) for i in range(count))
    worst = finished[-1].number

    best = recommend(reals(1), 1, finished)
    assert best is not None
    others = {trial.number for trial in finished} - {best}
    assert recommend(reals(1), 1, finished, among=others) in others
    assert recommend(reals(1), 1, finished, among={worst}) == worst
    assert recommend(reals(1), 1, finished, among=set()) is None


def test_cheap_trials_are_preferred_among_equally_good_ones() -> None:
    space = reals(2)
    points = [uniform_point(4, i, 2) for i in range(30)]
    finished = tuple(Finished(i, p, (p[0] - 0.5) ** 2) for i, p in enumerate(points))
    timed = tuple(trial._replace(seconds=math.exp(4 * trial.point[1])) for trial in finished)
    numbers = [n for n in range(30, 90) if n % 4]
    plain = [suggest(space, 1, n, History(finished, ())).point[1] for n in numbers]
    aware = [suggest(space, 1, n, History(timed, ())).point[1] for n in numbers]
    assert np.mean(aware) < np.mean(plain) - 0.15
    assert [suggest(space, 1, n, History(timed, ()), Options(cost_aware=False)).point[1] for n in numbers] == plain


def test_costs_are_predicted_from_the_seconds() -> None:
    points = random_array(50, 2)
    finished = [Finished(i, tuple(p.tolist()), 1.0) for i, p in enumerate(points)]
    odd = {3: 0.0, 4: math.nan, 5: None}
    timed = [t._replace(seconds=odd.get(t.number, 2.0 * math.exp(3 * t.point[0]))) for t in finished]
    model = fit_costs(Cube(reals(2)), timed)
    assert model is not None
    assert model.log_seconds(np.array([[0.5, 0.5]]))[0] == pytest.approx(math.log(2) + 1.5, abs=0.05)
    assert fit_costs(Cube(reals(2)), timed[:3]) is None


def test_rounds_show_boxes_in_real_units_around_their_elites() -> None:
    space = Space.model_validate(
        {
            "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
            "units": {"type": "int", "low": 1, "high": 100},
            "kind": {"type": "choice", "values": ["a", "b", "c"]},
            "batch": {"type": "choice", "values": [16, 32, 64, 128], "ordered": True},
        }
    )
    finished = tuple(
        Finished(i, p, (p[0] - 0.5) ** 2 + (p[1] - 0.2) ** 2)
        for i, p in enumerate(uniform_point(3, n, 4) for n in range(40))
    )
    last = newest_round(space, finished)
    assert last.start == round_starts(4, 40)[-1]
    assert sum(last.relevance.values()) == pytest.approx(1.0)
    assert last.relevance["rate"] > last.relevance["kind"]
    params = {trial.number: space.decode(trial.point) for trial in finished}
    assert len(last.boxes) == 4 * len(last.elites) >= 4
    for box in last.boxes:
        centre = params[box.elite]
        assert box.ranges["rate"]["low"] <= centre["rate"] <= box.ranges["rate"]["high"]
        assert box.ranges["units"]["low"] <= centre["units"] <= box.ranges["units"]["high"]
        assert centre["kind"] in box.ranges["kind"]["values"]
        assert centre["batch"] in box.ranges["batch"]["values"]
    first, fourth = last.boxes[0].ranges["rate"], last.boxes[3].ranges["rate"]
    assert fourth["high"] / fourth["low"] < first["high"] / first["low"]


def test_the_alarm_says_which_range_is_too_narrow() -> None:
    """The optimum of x1 is its upper end; x0's is inside; x2 does not matter."""
    last = newest_round(reals(3), finished_by(reals(3), 40))
    assert last.alarms == ("the best x1 lies at the upper end: widen it",)


def test_importance_is_the_mean_relevance_of_the_last_rounds_with_its_spread() -> None:
    space, finished = reals(4), finished_by(reals(4), 40)
    starts = round_starts(4, 40)[-3:]
    relevance = [list(round_at(space, 1, finished[:start], 1).relevance.values()) for start in starts]
    assert len(relevance) == 3

    matters = importance(space, 1, finished)

    assert [of.share for of in matters.values()] == pytest.approx(np.mean(relevance, axis=0).tolist())
    assert [of.spread for of in matters.values()] == pytest.approx(np.std(relevance, axis=0).tolist())
    assert min(matters["x0"].share, matters["x1"].share) > max(matters["x2"].share, matters["x3"].share)
    assert importance(space, 1, finished[:3]) == {}


def test_the_kernel_of_a_round_rests_on_its_first_trials_only() -> None:
    cube, finished = Cube(reals(3)), finished_by(reals(3), 24)
    start = round_starts(3, 24)[-1]
    kernel_params = posterior_of(cube, 1, finished, Memo()).kernel_params
    assert np.array_equal(kernel_params.inverse, kernel_params_of(cube, 1, finished[:start]).inverse)
