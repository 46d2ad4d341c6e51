"""Sturgeon's sampler for Optuna: it needs no server, and no change but one argument.

study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sturgeon.extras import require

require("optuna", "Sturgeon's sampler for Optuna")

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sturgeon.direction import sign_of
from sturgeon.search.coarse_to_fine import Options, suggest
from sturgeon.search.memo import Memo
from sturgeon.search.pruning import predicted_final
from sturgeon.search.samplers import Finished, History, Point, Running
from sturgeon.space import Choice, Float, Int, Space
from sturgeon.values import Json

_SEEN: Final = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)


class _Coordinate(NamedTuple):
    """A distribution of Optuna as a parameter of ours; for a float with a `step` it counts the steps from `low`."""

    distribution: BaseDistribution
    parameter: Float | Int | Choice

    def unit(self, value: Any) -> float:
        """The u of `value`.

        Raises: ValueError (it lies outside).
        """
        own = self.distribution
        if isinstance(own, CategoricalDistribution):
            return self.parameter.encode(int(own.to_internal_repr(value)))
        if isinstance(own, FloatDistribution) and own.step is not None:
            return self.parameter.encode(round((value - own.low) / own.step))
        return self.parameter.encode(value)

    def value(self, u: float) -> Any:
        decoded = self.parameter.decode(u)
        own = self.distribution
        if isinstance(own, CategoricalDistribution):
            return own.choices[int(decoded)]
        if isinstance(own, FloatDistribution) and own.step is not None:
            return min(own.low + decoded * own.step, own.high)
        return decoded


class CoarseToFineSampler(BaseSampler):
    """Coarse to fine search: even coverage, then ever denser around the best, ranked by a small Gaussian process.

    The sampler of Sturgeon's service as an Optuna sampler, for one objective. The parameters that all trials so far
    have in common are searched together; others, and those of the first trial, are drawn at random. Trials that
    run count, so that parallel ones spread; no parameters are drawn again while others are left; pruned ones count at
    their predicted final value. The same seed and the same trials give the same parameters. `model="boxes"` leaves the
    Gaussian process out.
    """

    def __init__(self, *, seed: int | None = None, model: str = "gp") -> None:
        if model not in ("gp", "boxes"):
            raise ValueError(f"model is 'gp' or 'boxes', not {model!r}")
        self._seed = random.SystemRandom().getrandbits(63) if seed is None else seed
        self._options = Options("gp" if model == "gp" else "boxes")
        self._independent = RandomSampler(seed=self._seed % 2**32)
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._memo = Memo()

    def reseed_rng(self) -> None:
        """Parallel copies differ by their trials' numbers already; only what is drawn at random needs it."""
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        shared = self._intersection.calculate(study)
        return {name: own for name, own in shared.items() if not own.single() and _coordinate(own) is not None}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Json:
        _one_objective(study)
        coordinates = {name: own for name, d in search_space.items() if (own := _coordinate(d)) is not None}
        if not coordinates:
            return {}
        # Optuna allows names that a space of ours does not.
        space = Space(root={f"p{j}": own.parameter for j, own in enumerate(coordinates.values())})
        history = _history(study, trial, coordinates)
        sample = suggest(space, self._seed, trial.number, history, self._options, memo=self._memo)
        return {name: own.value(u) for (name, own), u in zip(coordinates.items(), sample.point, strict=True)}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        _one_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


def _one_objective(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError("CoarseToFineSampler searches for one objective; this study has several")


def _coordinate(own: BaseDistribution) -> _Coordinate | None:
    """None for what a space of ours cannot hold: ranges of infinite width, integers beyond 2^53, over 1000 choices."""
    parameter: Json
    if isinstance(own, CategoricalDistribution):
        parameter = {"type": "choice", "values": list(range(len(own.choices)))}
    elif isinstance(own, FloatDistribution) and own.step is None:
        parameter = {"type": "float", "low": own.low, "high": own.high, "scale": "log" if own.log else "linear"}
    elif isinstance(own, FloatDistribution):
        parameter = {"type": "int", "low": 0, "high": round((own.high - own.low) / (own.step or 1.0))}
    elif isinstance(own, IntDistribution):
        step = 1 if own.log else own.step
        scale = "log" if own.log else "linear"
        parameter = {"type": "int", "low": own.low, "high": own.high, "step": step, "scale": scale}
    else:
        return None
    try:
        (checked,) = Space.model_validate({"p": parameter}).root.values()
    except ValueError:
        return None
    if not isinstance(checked, Float | Int | Choice) or checked.problem() is not None:
        return None
    return _Coordinate(own, checked)


def _history(study: Study, asking: FrozenTrial, coordinates: Mapping[str, _Coordinate]) -> History:
    sign = sign_of("maximize" if study.direction == StudyDirection.MAXIMIZE else "minimize")
    trials = [t for t in study.get_trials(deepcopy=False, states=_SEEN) if t.number != asking.number]
    curves = [_curve(t, sign) for t in trials if t.state == TrialState.COMPLETE and t.intermediate_values]
    finished: list[tuple[datetime, Finished]] = []
    running: list[Running] = []
    handed_out: list[Point] = []
    for trial in trials:
        point = _point(trial, coordinates)
        if point is None:
            continue
        if trial.state == TrialState.FAIL:
            handed_out.append(point)
        elif trial.state == TrialState.RUNNING:
            running.append(Running(trial.number, point))
        else:
            ended = trial.datetime_complete or datetime.min
            finished.append((ended, Finished(trial.number, point, _score(trial, sign, curves))))
    finished.sort(key=lambda pair: (pair[0], pair[1].number))
    return History(tuple(trial for _, trial in finished), tuple(running), tuple(handed_out))


def _point(trial: FrozenTrial, coordinates: Mapping[str, _Coordinate]) -> Point | None:
    """None when the trial lacks a parameter, or has a value outside of what is searched now."""
    if not all(name in trial.params for name in coordinates):
        return None
    try:
        return tuple(own.unit(trial.params[name]) for name, own in coordinates.items())
    except ValueError:
        return None


def _score(trial: FrozenTrial, sign: float, complete: Sequence[Mapping[int, float | None]]) -> float | None:
    if trial.state == TrialState.PRUNED:
        return predicted_final(_curve(trial, sign), complete)
    return sign * trial.value if trial.value is not None and math.isfinite(trial.value) else None


def _curve(trial: FrozenTrial, sign: float) -> dict[int, float | None]:
    return {step: sign * value for step, value in trial.intermediate_values.items()}
