"""`SturgeonSearchCV`: scikit-learn's own checks, and what it finds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

import sturgeon
from sturgeon.integrations import sklearn as sklearn_search
from sturgeon.integrations.sklearn import SturgeonSearchCV
from sturgeon.search import coarse_to_fine
from tests.system.readme import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running import RunningServer

X, Y = load_iris(return_X_y=True)
SPACE = {"svc__C": sturgeon.log(1e-3, 1e3), "svc__kernel": sturgeon.choice("rbf", "linear")}


def search(**given: Any) -> SturgeonSearchCV:
    return SturgeonSearchCV(make_pipeline(StandardScaler(), SVC()), SPACE, **{"n_trials": 6, "cv": 3} | given)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "space"),
    [(GaussianNB(), {"var_smoothing": sturgeon.log(1e-9, 0.1)}), (Ridge(), {"alpha": sturgeon.log(0.01, 100)})],
)
def test_it_passes_the_checks_of_scikit_learn(estimator: Any, space: dict[str, Any]) -> None:
    results = check_estimator(SturgeonSearchCV(estimator, space, n_trials=3, cv=2), on_skip=None)
    assert len(results) > 60
    assert {result["status"] for result in results} == {"passed", "skipped"}  # skipped: pandas and other arrays


def test_it_finds_what_cross_validation_finds_best() -> None:
    fitted = search(random_state=0).fit(X, Y)
    scores = fitted.cv_results_["mean_test_score"]
    assert len(scores) == 6
    assert fitted.best_score_ == max(scores)
    assert fitted.best_params_ == fitted.cv_results_["params"][int(np.argmax(scores))]
    assert fitted.score(X, Y) > 0.9
    again = search(random_state=0).fit(X, Y)
    assert again.cv_results_["params"] == fitted.cv_results_["params"]
    assert search(random_state=1).fit(X, Y).cv_results_["params"] != fitted.cv_results_["params"]


def test_results_guide_the_search_without_a_server() -> None:
    """Where the score has one peak, later trials come nearer to it than the even coverage did."""

    def score(estimator: Ridge, _X: object, _y: object) -> float:
        return -abs(float(np.log10(estimator.alpha)) - 1.5)

    tried = SturgeonSearchCV(
        Ridge(), {"alpha": sturgeon.log(1e-3, 1e3)}, n_trials=16, cv=2, scoring=score, random_state=0
    ).fit(X, Y)
    distances = -tried.cv_results_["mean_test_score"]
    assert np.median(distances[10:]) < np.median(distances[:5]) / 3


@pytest.mark.filterwarnings("ignore")
def test_a_score_that_is_no_number_is_known_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[list[float | None]] = []

    def suggest(space: Any, seed: int, number: int, history: Any, **given: Any) -> Any:
        known.append([one.score for one in history.finished])
        return coarse_to_fine.suggest(space, seed, number, history, **given)

    def score(estimator: Ridge, _X: object, _y: object) -> float:
        return float("nan") if estimator.alpha > 1 else 2.0

    monkeypatch.setattr(sklearn_search, "suggest", suggest)
    alpha = {"alpha": sturgeon.log(1e-3, 1e3)}
    tried = SturgeonSearchCV(Ridge(), alpha, n_trials=5, cv=2, scoring=score, random_state=0).fit(X, Y)
    alphas = [params["alpha"] for params in tried.cv_results_["params"]]

    assert known[-1] == [None if alpha > 1 else -2.0 for alpha in alphas[:4]]
    assert set(known[-1]) == {None, -2.0}


@pytest.mark.parametrize(
    ("space", "n_trials", "says"),
    [
        (SPACE, 0, "n_trials must be a positive integer"),
        ({"svc__C": sturgeon.log(1, 1)}, 3, "low must be less than high"),
    ],
)
def test_what_cannot_be_searched_is_refused(space: dict[str, Any], n_trials: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SturgeonSearchCV(make_pipeline(StandardScaler(), SVC()), space, n_trials=n_trials).fit(X, Y)


def test_a_study_without_a_server_is_kept_in_the_folder_that_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[object] = []

    def study(*_arguments: object, folder: object, **_options: object) -> None:
        opened.append(folder)
        raise LookupError

    monkeypatch.setattr(sturgeon, "study", study)
    with pytest.raises(LookupError):
        search(study="iris", folder=tmp_path).fit(X, Y)
    assert opened == [tmp_path]


def test_the_trials_of_a_study_are_kept_and_not_made_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STURGEON_SERVER", server.url)
    first = search(study="iris", n_trials=3, random_state=0).fit(X, Y)
    trials = list(server.client.all_trials("iris"))
    assert [trial.value for trial in trials] == pytest.approx(first.cv_results_["mean_test_score"])
    assert [trial.metrics["std_score"] for trial in trials] == pytest.approx(first.cv_results_["std_test_score"])
    made = server.client.study("iris")
    assert (made.direction, made.search.seed) == ("maximize", np.random.RandomState(0).randint(2**31 - 1))
    more = search(study="iris", n_trials=5, random_state=0).fit(X, Y)
    assert len(more.cv_results_["params"]) == 2
    done = search(study="iris", n_trials=5, random_state=0).fit(X, Y)
    recommended = server.client.best("iris").recommended
    assert recommended is not None
    assert done.cv_results_["params"] == [recommended.params]
    assert len(list(server.client.all_trials("iris"))) == 5


def test_the_example_runs() -> None:
    command = [sys.executable, "-P", "examples/sklearn_search.py", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[1].startswith("error on new digits: 0.0")
