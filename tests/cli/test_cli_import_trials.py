"""`sturgeon import optuna URL`: the finished trials of a real storage of Optuna."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest

from tests.cli.command import Command
from tests.running import RunningServer

START = datetime(2025, 3, 1, 10)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study of eight trials: of SGD with a momentum, of Adam without; one pruned, one failed, one still running."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'x.db'}"
    study = optuna.create_study(storage=url, study_name="old search", direction="maximize")
    study.add_trials([finished(number) for number in range(7)])
    study.ask()
    return url


def finished(number: int) -> optuna.trial.FrozenTrial:
    lr = optuna.distributions.FloatDistribution(1e-4, 1.0 if number else 0.5, log=True)
    kinds = optuna.distributions.CategoricalDistribution(("sgd", "adam"))
    params = {"lr": 0.01 * (number + 1), "kind": "adam" if number % 2 else "sgd"}
    distributions = {"lr": lr, "kind": kinds}
    if params["kind"] == "sgd":
        params["momentum"] = 0.1 * number
        distributions["momentum"] = optuna.distributions.FloatDistribution(0.0, 0.9)
    state = {5: optuna.trial.TrialState.PRUNED, 6: optuna.trial.TrialState.FAIL}.get(number)
    return optuna.trial.create_trial(
        state=state or optuna.trial.TrialState.COMPLETE,
        value=None if number == 6 else number / 10,
        params=params,
        distributions=distributions,
        user_attrs={"seconds": 3.5, "host": "a"} if number == 0 else {},
        intermediate_values={1: number / 20, 2: number / 10} if number != 6 else {},
    )


@pytest.mark.usefixtures("server")
def test_finished_trials_come_with_states_values_and_curves(
    sturgeon: Command, server: RunningServer, storage: str
) -> None:
    ran = sturgeon("import", "optuna", storage)
    assert (ran.code, ran.out.strip()) == (0, "old-search: 7 trials imported, 0 were there already.")
    assert "Not imported: 1 running trials: only finished ones are taken." in ran.err
    assert "Not imported: trial 0: user attribute host: a metric is a number with a name." in ran.err
    study = server.client.study("old-search")
    assert (study.metric, study.direction, study.budget.max_trials) == ("value", "maximize", 107)
    assert {name: study.space[name].model_dump(exclude_none=True) for name in study.space}["momentum"]["when"] == {
        "kind": ["sgd"]
    }
    assert (study.space["lr"].low, study.space["lr"].high) == (1e-4, 1.0)  # the widest range of all trials
    trials = list(server.client.all_trials("old-search"))
    assert [trial.state for trial in trials] == ["complete"] * 5 + ["pruned", "failed"]
    assert [trial.value for trial in trials[:6]] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert trials[0].metrics == {"seconds": 3.5, "value": 0.0}
    assert trials[1].params == {"lr": 0.02, "kind": "adam"}
    curve = server.client.trial_metrics("old-search", 3).items
    assert [(report.step, report.metrics) for report in curve] == [(1, {"value": 0.15}), (2, {"value": 0.3})]


@pytest.mark.usefixtures("server")
def test_importing_twice_brings_only_what_is_new(sturgeon: Command, server: RunningServer, storage: str) -> None:
    first = sturgeon("import", "optuna", storage, "--name", "mine", "-o", "json").json
    again = sturgeon("import", "optuna", storage, "--name", "mine", "-o", "json").json
    assert (first["imported"], again["known"], again["study"]) == (7, 7, "mine")
    assert [item["number"] for item in again["items"]] == list(range(7))
    assert sum(server.client.study("mine").counts.values()) == 7


def test_dates_are_those_of_the_storage(sturgeon: Command, server: RunningServer, tmp_path: Path) -> None:
    trial = finished(2)
    trial.datetime_start, trial.datetime_complete = START, START + timedelta(minutes=5)
    url = f"sqlite:///{tmp_path / 'dated.db'}"
    optuna.create_study(storage=url, study_name="dated").add_trial(trial)
    sturgeon("import", "optuna", url)
    imported = server.client.trial("dated", 0)
    assert imported.started_at == START.astimezone()
    assert imported.finished_at == (START + timedelta(minutes=5)).astimezone()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sqlite:///nowhere.db"], "There is no file nowhere.db."),
        (["STORAGE", "--study", "other"], "has no study 'other'; it has old search"),
        (["STORAGE", "--out", "x.yaml"], "Trials are brought by `sturgeon import optuna URL"),
    ],
)
def test_a_storage_that_cannot_be_read_is_refused(
    sturgeon: Command, storage: str, arguments: list[str], says: str
) -> None:
    ran = sturgeon("import", "optuna", *(storage if one == "STORAGE" else one for one in arguments))
    assert ran.code == 2
    assert says in ran.err
