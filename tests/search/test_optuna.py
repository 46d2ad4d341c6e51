from __future__ import annotations

import warnings
from collections.abc import Callable

import optuna
import pytest
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from sturgeon.direction import Direction, sign_of
from sturgeon.integrations.optuna import CoarseToFineSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestCoarseToFineSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Optuna's own cases for samplers."""

    @pytest.fixture
    def sampler(self) -> Callable[[], optuna.samplers.BaseSampler]:
        return CoarseToFineSampler


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-5, 1, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b", None, True, 1.5])
    units = trial.suggest_int("units", 8, 512, log=True)
    keep = trial.suggest_float("keep", 0.5, 1.0, step=0.05)
    batch = trial.suggest_int("batch size", 16, 256, step=16)
    return (
        abs(rate / 0.01 - 1) / (rate / 0.01 + 1)
        + (0.0 if kind is None else 0.3)
        + abs(units - 100) / 500
        + abs(keep - 0.7)
        + 0 * batch
    )


def searched(sampler: optuna.samplers.BaseSampler, trials: int, direction: Direction = "minimize") -> optuna.Study:
    sign = sign_of(direction)
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(lambda trial: sign * objective(trial), n_trials=trials)
    return study


def test_it_finds_what_random_search_does_not() -> None:
    ours = sorted(searched(CoarseToFineSampler(seed=seed), 50).best_value for seed in range(3))
    random = sorted(searched(optuna.samplers.RandomSampler(seed=seed), 50).best_value for seed in range(3))
    assert ours[1] < random[1] / 2


def test_the_same_seed_gives_the_same_trials_and_another_other_ones() -> None:
    first, again, other = (searched(CoarseToFineSampler(seed=seed), 20) for seed in (1, 1, 2))
    assert [t.params for t in first.trials] == [t.params for t in again.trials]
    assert [t.params for t in first.trials] != [t.params for t in other.trials]


def test_to_maximise_is_to_minimise_the_negative() -> None:
    down, up = searched(CoarseToFineSampler(seed=1), 20), searched(CoarseToFineSampler(seed=1), 20, "maximize")
    assert [t.params for t in down.trials] == [t.params for t in up.trials]


def test_trials_asked_at_once_differ() -> None:
    study = searched(CoarseToFineSampler(seed=1), 20)
    space = dict(study.trials[0].distributions)
    asked = [study.ask(space) for _ in range(8)]
    assert len({trial.params["rate"] for trial in asked}) == 8


@pytest.mark.fault("W7")
def test_parameters_are_not_drawn_again_while_others_are_left() -> None:
    """The first trial's parameters are drawn at random; some trials fail."""
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))

    def small(trial: optuna.Trial) -> float:
        kind, n = trial.suggest_categorical("kind", ["a", "b", "c"]), trial.suggest_int("n", 1, 8)
        if trial.number % 4 == 2:
            raise ArithmeticError
        return n + (kind == "a")

    study.optimize(small, n_trials=24, catch=ArithmeticError)

    assert len({tuple(trial.params.items()) for trial in study.trials}) == 24


def test_pruned_trials_count_at_their_predicted_final_value() -> None:
    """Trials above x = 0.5 are pruned after a bad first step: the search stays away from there."""
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=3))

    def pruning(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        trial.report(1 + x, 1)
        if x > 0.5:
            raise optuna.TrialPruned
        trial.report(x, 2)
        return x

    study.optimize(pruning, n_trials=40)
    pruned = [t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED]
    assert 0 < len(pruned) < 12


def test_infinite_values_and_failures_break_nothing() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=3))

    def broken(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return {0: float("inf"), 1: float("nan"), 2: float("-inf")}.get(trial.number % 5, x)

    study.optimize(broken, n_trials=40)
    assert len(study.trials) == 40


def test_what_our_space_cannot_hold_is_drawn_at_random() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=3))

    def huge(trial: optuna.Trial) -> float:
        trial.suggest_int("huge", 0, 2**60)
        trial.suggest_categorical("many", list(range(1200)))
        return trial.suggest_float("x", 0, 1)

    study.optimize(huge, n_trials=25)
    assert study.best_value < 0.05


def test_parallel_jobs_and_a_saved_sampler_work() -> None:
    import pickle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=pickle.loads(pickle.dumps(CoarseToFineSampler(seed=1))))
    study.optimize(objective, n_trials=30, n_jobs=3)
    assert [t.state for t in study.trials] == [optuna.trial.TrialState.COMPLETE] * 30
    # Integers and choices may bring two jobs, which see the same results, to the same place; seldom.
    assert len({str(t.params) for t in study.trials}) >= 25


def test_another_model_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'gp' or 'boxes'"):
        CoarseToFineSampler(model="forest")
