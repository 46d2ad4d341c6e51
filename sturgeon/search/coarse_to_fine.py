"""Coarse to fine: even coverage first, then rounds that draw ever more densely around the best.

Each round fits along which parameters the score changes fast and puts nested boxes around the few best points, wide
along parameters that hardly matter. Candidates are drawn from the boxes and from the whole space, and a small Gaussian
process says which of them is most worth a trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from sturgeon.errors import FieldProblem
from sturgeon.messages import Search
from sturgeon.search.acquisition import improvement, lower_bound, neighbours_vote
from sturgeon.search.boxes import WHOLE_SPACE, Candidates, draw, draw_one, elite_rows, near
from sturgeon.search.costs import CostModel, fit_costs
from sturgeon.search.cube import Array, Cube, point_array
from sturgeon.search.distinct import Unseen, unseen_of
from sturgeon.search.evidence import Evidence, evidence_from
from sturgeon.search.memo import Memo, cube_of
from sturgeon.search.one_thread import with_one_thread
from sturgeon.search.posterior import FantasyPosterior, Posterior, conditioned, with_running
from sturgeon.search.results import Results
from sturgeon.search.samplers import Finished, History, Keyed, Point, RegisteredSampler, Sample, Sampler, evidence_of
from sturgeon.search.scores import first_round_size, round_starts, standard_scores, too_bad_to_tell
from sturgeon.search.sobol import even_point
from sturgeon.search.surrogate import MOST_POINTS, KernelParams, fit_kernel_params, prior_kernel_params
from sturgeon.space import Space

CANDIDATES: Final = 128
CANDIDATES_OF_MANY: Final = 256
MANY_RUNNING: Final = 24
REFINED: Final = 32
KAPPA: Final = 0.8
MOST_DIMENSIONS: Final = 20
"""Beyond it the model costs more than it gains, and boxes alone draw."""

_STREAM: Final = 1 << 126
_FIT_STREAM: Final = 1 << 125
_KEYED: Final = Keyed()


class Options(NamedTuple):
    """How to search. `model`: "boxes" is the textbook zoom, without a model, at 0.1 ms a suggestion instead of 1.

    `cost_aware`: of equally promising trials prefer the cheap ones, where finished trials say what they cost.
    """

    model: Literal["gp", "boxes"] = "gp"
    cost_aware: bool = True


DEFAULT: Final = Options()


@with_one_thread
def suggest(
    space: Space,
    seed: int,
    number: int,
    history: History,
    options: Options = DEFAULT,
    *,
    memo: Memo | None = None,
) -> Sample:
    """The point of trial `number`: a pure function of all but `memo`, which only saves work.

    The sample has its round (0: even coverage) and, unless it came from the whole space, the number of the trial
    around which it was drawn (`elite`) and the `level` of the box (half width 2^-level).
    """
    memo = Memo() if memo is None else memo
    cube = cube_of(space, memo)
    evidence = evidence_of(history, cube.dimensions)
    history = history._replace(finished=evidence.finished)
    unseen = unseen_of(cube, history, memo)
    first = first_round_size(cube.dimensions)
    if number < first or evidence.total < first / 2:
        return Sample(even_point(unseen, seed, number, memo), round=0)
    random = _KEYED.by(seed | number << 64 | _STREAM)
    round_number = max(1, len(round_starts(cube.dimensions, evidence.total)))
    if boxes_alone(cube, options):
        elites = memo.recall("elites", (cube.identity, evidence.finished), lambda: best_rows(cube, evidence.finished))
        centres = cube.snap(evidence.finished.points[elites])
        unseen = _all_seen(unseen, evidence, history, centres)
        boxed = _sample(evidence.finished, _drawn_from_boxes(unseen, centres, random, seed, number), elites)
        return boxed._replace(round=round_number, model="boxes")
    posterior = posterior_of(cube, seed, evidence, memo)
    unseen = _all_seen(unseen, evidence, history, posterior.points[posterior.elites])
    costs = None
    if options.cost_aware:
        costs = memo.recall("costs", (cube.identity, evidence.first), lambda: fit_costs(cube, evidence.first))
    return _modelled(posterior, costs, seed, number, history, unseen, random)._replace(round=round_number, model="gp")


def _all_seen(unseen: Unseen, evidence: Evidence, history: History, centres: Array) -> Unseen:
    """Where a selection of the results leaves out what is drawn already, nothing is drawn from it again either."""
    knows_all = not evidence.is_selection or len(history.handed_out) > 0
    return unseen if knows_all else replace(unseen, centres=centres)


@with_one_thread
def prepare(
    space: Space, seed: int, finished: Sequence[Finished] | Evidence, memo: Memo, options: Options = DEFAULT
) -> None:
    """Fit now, when a result comes in, what the next `suggest` with `memo` would fit first: it takes up to 20 ms."""
    cube = cube_of(space, memo)
    evidence = evidence_from(finished, cube.dimensions)
    if evidence.total >= first_round_size(cube.dimensions) / 2 and not boxes_alone(cube, options):
        posterior_of(cube, seed, evidence, memo)


def recommend(
    space: Space,
    seed: int,
    finished: Sequence[Finished] | Evidence,
    memo: Memo | None = None,
    among: Container[int] | None = None,
) -> int | None:
    """The number of the trial to take as the winner: the least denoised score, so that luck alone does not win.

    `among`: the trials to choose from, all unless given. Before the first round is over the best score wins; None when
    no trial has a finite one.
    """
    cube = Cube(space)
    evidence = evidence_from(finished, cube.dimensions)
    pairs = zip(evidence.finished.numbers.tolist(), evidence.finished.scores.tolist(), strict=True)
    scores = {number: score for number, score in pairs if math.isfinite(score) and (among is None or number in among)}
    if not scores:
        return None
    best_score: int = min(scores, key=lambda number: (scores[number], number))
    if not models_noise(space, evidence):
        return best_score
    posterior = posterior_of(cube, seed, evidence, Memo() if memo is None else memo)
    numbers: list[int] = evidence.finished.numbers[posterior.rows[posterior.order]].tolist()
    candidates = scores.keys() - too_bad_to_tell(evidence.finished)
    best = (number for number in numbers if number in candidates)
    # The model rests on the best 50 trials and 50 others; none of these may be `among` those to choose from.
    return next(best, best_score)


def models_noise(space: Space, finished: Sequence[Finished] | Evidence) -> bool:
    """Whether there are enough results to model the noise; else `recommend` takes the best score."""
    cube = Cube(space)
    enough = evidence_from(finished, cube.dimensions).total >= first_round_size(cube.dimensions)
    return enough and not boxes_alone(cube, DEFAULT)


@with_one_thread
def posterior_of(cube: Cube, seed: int, finished: Sequence[Finished] | Evidence, memo: Memo) -> Posterior:
    """What `finished` says about the space, by the kernel that the current round fitted to what it began with."""
    evidence = evidence_from(finished, cube.dimensions)
    kernel_params = memo.recall(
        "kernel_params", (cube.identity, seed, evidence.first), lambda: kernel_params_of(cube, seed, evidence.first)
    )
    return memo.recall(
        "posterior",
        (cube.identity, seed, evidence.first, evidence.finished),
        lambda: conditioned(cube, kernel_params, evidence.finished.points, standard_scores(evidence.finished)),
    )


@with_one_thread
def kernel_params_of(cube: Cube, seed: int, first: Sequence[Finished]) -> KernelParams:
    """The kernel that a round fits to the `first` trials, its start; of many to the best 50 and 50 others."""
    if not len(first):
        return prior_kernel_params(cube.dimensions)
    points, z = cube.snap(Results.of(first).points), standard_scores(first)
    if len(z) > MOST_POINTS:
        random = np.random.Generator(np.random.Philox(key=seed | len(z) << 64 | _FIT_STREAM))
        order = np.argsort(z, kind="stable")
        half = MOST_POINTS // 2
        rows = np.concatenate([order[:half], random.choice(order[half:], MOST_POINTS - half, replace=False)])
        points, z = points[rows], z[rows]
    return fit_kernel_params(cube, points, z)


def _drawn_from_boxes(
    unseen: Unseen, centres: Array, random: np.random.Generator, seed: int, number: int
) -> Candidates:
    """A candidate that was not seen: of the boxes, or after many that were, of the whole space."""
    for _ in range(CANDIDATES):
        drawn = draw_one(unseen.cube, centres, random)
        if unseen.mask(drawn.points)[0]:
            return drawn
    return _whole_space(unseen.instead(tuple(drawn.points[0].tolist()), seed, number))


def _whole_space(point: Point) -> Candidates:
    outside = np.full(1, WHOLE_SPACE)
    return Candidates(np.array([point]), outside, outside)


def _modelled(
    posterior: Posterior,
    costs: CostModel | None,
    seed: int,
    number: int,
    history: History,
    unseen: Unseen,
    random: np.random.Generator,
) -> Sample:
    cube, stretch, elites = posterior.cube, posterior.stretch, posterior.elites
    running = cube.snap(point_array([trial.point for trial in history.running], cube.dimensions))
    fantasy = with_running(posterior, running)
    acquisition = _acquisition(fantasy, costs, number, KAPPA * random.random())
    count = CANDIDATES if len(running) <= MANY_RUNNING else CANDIDATES_OF_MANY
    candidates = draw(cube, posterior.points[elites], stretch, count, random)
    best = unseen.best(candidates.points, acquisition(candidates.points))
    if best is None:
        candidates = _left(unseen, candidates, seed, number)
        best = int(np.argmin(acquisition(candidates.points)))
    around = near(cube, candidates.points[best], stretch, REFINED, random)
    refined = unseen.best(around, acquisition(around))
    point = candidates.points[best] if refined is None else around[refined]
    chosen = Candidates(point[None], candidates.elite[[best]], candidates.level[[best]])
    return _sample(history.finished, chosen, posterior.rows[elites].tolist())


def _left(unseen: Unseen, candidates: Candidates, seed: int, number: int) -> Candidates:
    """What is left of the whole space, when none of the candidates is; one by chance where it cannot be counted."""
    if unseen.cells is None:
        return _whole_space(unseen.instead(tuple(candidates.points[0].tolist()), seed, number))
    left = unseen.cells[unseen.mask(unseen.cells)]
    outside = np.full(len(left), WHOLE_SPACE)
    return Candidates(left, outside, outside)


def _acquisition(
    fantasy: FantasyPosterior, costs: CostModel | None, number: int, kappa: float
) -> Callable[[Array], Array]:
    """The acquisition function whose turn it is. One trial of four takes the neighbours' vote. The others take, with
    costs, the expected improvement per root of the cost; without, two the lower bound and one the improvement."""
    if number % 4 == 0:
        return lambda points: neighbours_vote(fantasy, points, kappa)
    if costs is not None:
        # Improvement / sqrt(cost): a trial's cost varies 15-fold at equal error.
        return lambda points: improvement(fantasy, points) + 0.5 * costs.log_seconds(points)
    if number % 2:
        return lambda points: lower_bound(fantasy, points)
    return lambda points: improvement(fantasy, points)


def _sample(finished: Sequence[Finished], chosen: Candidates, elites: list[int]) -> Sample:
    """The one candidate in `chosen`. `elites`: the rows of `finished` that it may have been drawn around."""
    point = tuple(chosen.points[0].tolist())
    if chosen.elite[0] == WHOLE_SPACE:
        return Sample(point)
    elite = finished[elites[int(chosen.elite[0])]].number
    return Sample(point, elite=elite, level=int(chosen.level[0]) + 1)


def boxes_alone(cube: Cube, options: Options) -> bool:
    """Whether boxes draw without a model: the options say so, or a model would cost more than it gains."""
    return options.model == "boxes" or cube.dimensions > MOST_DIMENSIONS


def best_rows(cube: Cube, finished: Sequence[Finished]) -> list[int]:
    """The rows of `finished` that are the elites of boxes alone: the few best scores that lie well apart."""
    order = np.argsort(standard_scores(finished), kind="stable")
    return elite_rows(cube, cube.snap(Results.of(finished).points), order)


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:
    own = Options(**options)

    def prepare_next(space: Space, seed: int, history: History) -> None:
        prepare(space, seed, evidence_of(history, len(space.searched)), memo, own)

    return Sampler("coarse_to_fine", 5, partial(suggest, options=own, memo=memo), prepare=prepare_next)


def recorded(search: Search, space: Space, samples: int) -> dict[str, Any]:  # noqa: ARG001
    """A model where the space is small enough for one, and cheap trials first, unless the study says otherwise."""
    model = search.model or ("gp" if len(space.searched) <= MOST_DIMENSIONS else "boxes")
    return {"model": model, "cost_aware": search.cost_aware is not False}


def problems(search: Search, space: Space) -> list[FieldProblem]:
    """A model that cannot take so many parameters."""
    if search.model != "gp" or len(space.searched) <= MOST_DIMENSIONS:
        return []
    detail = (
        f"model: gp takes up to {MOST_DIMENSIONS} searched parameters, and the space has {len(space.searched)}; "
        "write boxes, or fix some of them"
    )
    return [FieldProblem("/search/model", detail)]


SAMPLER: Final = RegisteredSampler(build, options=("model", "cost_aware"), recorded=recorded, problems=problems)
