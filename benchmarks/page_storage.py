"""Made-up trials in a storage of Optuna, for benchmarks/page.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tests.browser.made_trials import SPACE, MadeTrial


class OptunaStorage:
    """A study of Optuna in a SQLite file."""

    NAME: Final = "mlp"

    def __init__(self, file: Path) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.url = f"sqlite:///{file}"
        self._study = optuna.create_study(storage=self.url, study_name=self.NAME)

    def add(self, trials: Iterable[MadeTrial]) -> None:
        self._study.add_trials([_frozen(trial) for trial in trials])


def _frozen(trial: MadeTrial) -> Any:
    import optuna

    state = optuna.trial.TrialState.PRUNED if trial.pruned else optuna.trial.TrialState.COMPLETE
    return optuna.trial.create_trial(
        state=state,
        value=trial.value,
        params=trial.params,
        distributions={name: _distribution(of) for name, of in SPACE.items()},
        intermediate_values=trial.curve,
    )


def _distribution(of: dict[str, Any]) -> Any:
    import optuna

    if of["type"] == "choice":
        return optuna.distributions.CategoricalDistribution(of["values"])
    if of["type"] == "int":
        return optuna.distributions.IntDistribution(of["low"], of["high"])
    return optuna.distributions.FloatDistribution(of["low"], of["high"], log=of.get("scale") == "log")
