"""The samplers that the search benchmark compares, behind one shape: ask for a trial's parameters, tell its score."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from sturgeon.search.coarse_to_fine import Options, suggest
from sturgeon.search.cube import Cube
from sturgeon.search.grid import grid_search
from sturgeon.search.memo import Memo
from sturgeon.search.random import random_search
from sturgeon.search.samplers import Finished, History, Point, Running, Sample
from sturgeon.search.sobol import sobol_search
from sturgeon.space import Choice, Fixed, Float, Int, Space
from sturgeon.values import same_value


class Arm(Protocol):
    """One search: `ask` gives the point of trial `number`, `tell` its score."""

    def ask(self, number: int) -> Point: ...

    def tell(self, number: int, score: float) -> None: ...


class Ours:
    """A pure sampler of this project, with the history that the server would give it."""

    def __init__(self, draw: Callable[[int, History], Sample]) -> None:
        self._draw = draw
        self._finished: list[Finished] = []
        self._running: dict[int, Point] = {}

    def ask(self, number: int) -> Point:
        running = tuple(Running(n, point) for n, point in sorted(self._running.items()))
        point = self._draw(number, History(tuple(self._finished), running)).point
        self._running[number] = point
        return point

    def tell(self, number: int, score: float) -> None:
        self._finished.append(Finished(number, self._running.pop(number), score))


class Optunas:
    """A sampler of Optuna through its ask and tell, each parameter in Optuna's own terms."""

    def __init__(self, space: Space, sampler: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._cube = space, Cube(space)
        self._study = optuna.create_study(sampler=sampler)
        self._trials: dict[int, Any] = {}

    def ask(self, number: int) -> Point:
        trial = self._trials[number] = self._study.ask()
        params: dict[str, Any] = {}
        for name in self._space:  # the benchmark's spaces name parents before children
            parameter = self._space[name]
            if all(any(same_value(params.get(p), v) for v in wanted) for p, wanted in (parameter.when or {}).items()):
                params[name] = suggested(trial, name, parameter)
        return self._space.encode(params)

    def tell(self, number: int, score: float) -> None:
        self._study.tell(self._trials.pop(number), score)


def suggested(trial: Any, name: str, parameter: Float | Int | Choice | Fixed) -> Any:
    """The parameter's value as Optuna draws it; 1 - beta on a log scale where beta is `one_minus_log` here."""
    if isinstance(parameter, Choice):
        if parameter.ordered:
            return parameter.values[trial.suggest_int(name, 0, len(parameter.values) - 1)]
        return trial.suggest_categorical(name, parameter.values)
    if isinstance(parameter, Int):
        return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.scale == "log")
    assert isinstance(parameter, Float)
    if parameter.scale == "one_minus_log":
        below = trial.suggest_float(name, 1 - parameter.high, 1 - parameter.low, log=True)
        return min(max(1 - below, parameter.low), parameter.high)
    return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.scale == "log")


def tpe(space: Space, seed: int) -> Arm:
    import optuna

    return Optunas(space, optuna.samplers.TPESampler(seed=seed))


def gp(space: Space, seed: int) -> Arm:
    import optuna
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return Optunas(space, optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False))


def coarse_to_fine(options: Options) -> Callable[[Space, int], Arm]:
    def arm(space: Space, seed: int) -> Arm:
        memo = Memo()
        return Ours(lambda number, history: suggest(space, seed, number, history, options, memo=memo))

    return arm


GRID_SIZE = 100

ARMS: dict[str, Callable[[Space, int], Arm]] = {
    "grid": lambda space, seed: Ours(lambda number, _: grid_search(space, seed, number, GRID_SIZE)),
    "random": lambda space, seed: Ours(lambda number, history: random_search(space, seed, number, history)),
    "sobol": lambda space, seed: Ours(lambda number, history: sobol_search(space, seed, number, history)),
    "tpe": tpe,
    "gp": gp,
    "boxes": coarse_to_fine(Options(model="boxes")),
    "ours": coarse_to_fine(Options()),
}

SLOW = {"gp": 60}
"""Arms that take a third of a second a suggestion: run for so many trials, on few problems."""
