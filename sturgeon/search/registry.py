"""The samplers by name: what a study's search options make of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple

from sturgeon.search import coarse_to_fine
from sturgeon.search.coarse_to_fine import MOST_DIMENSIONS
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, Sample, Sampler, random_search
from sturgeon.search.sequences import grid_search, sobol_search
from sturgeon.space import Space

MOST_MODELLED: Final = MOST_DIMENSIONS
"""Searched parameters that the model of coarse to fine takes; beyond it costs more than it tells."""


class SamplerOptions(NamedTuple):
    """What a study says about its sampler; each takes what concerns it. `points`: of the grid, at most."""

    model: Literal["gp", "boxes"] = "gp"
    cost_aware: bool = True
    points: int = 1


def _random(options: SamplerOptions, memo: Memo) -> Sampler:  # noqa: ARG001 - the shape of its siblings
    return Sampler("random", 1, random_search, needs_history=False)


def _sobol(options: SamplerOptions, memo: Memo) -> Sampler:  # noqa: ARG001
    return Sampler("sobol", 1, sobol_search, needs_history=False)


def _grid(options: SamplerOptions, memo: Memo) -> Sampler:
    def draw(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
        return grid_search(space, seed, number, options.points, memo=memo)

    return Sampler("grid", 1, draw, needs_history=False)


def _coarse_to_fine(options: SamplerOptions, memo: Memo) -> Sampler:
    own = coarse_to_fine.Options(options.model, options.cost_aware)

    def prepare(space: Space, seed: int, history: History) -> None:
        coarse_to_fine.prepare(space, seed, history.finished, memo, own)

    return Sampler("coarse_to_fine", 1, partial(coarse_to_fine.suggest, options=own, memo=memo), prepare=prepare)


Build = Callable[[SamplerOptions, Memo], Sampler]
"""Makes a study's sampler. What it keeps in the memo saves work, and changes no point."""

SAMPLERS: Final[dict[str, Build]] = {
    "random": _random,
    "sobol": _sobol,
    "grid": _grid,
    "coarse_to_fine": _coarse_to_fine,
}


def warm() -> None:
    """Import what the samplers import where they use it: half a second that no ask shall wait for."""
    import scipy.optimize
    import scipy.stats.qmc  # noqa: F401
