"""A search for scikit-learn estimators, to be used as `GridSearchCV` is.

search = SturgeonSearchCV(SVC(), {"C": sturgeon.log(1e-2, 1e3), "gamma": sturgeon.log(1e-4, 1)}, n_trials=30)
search.fit(X, y).best_params_
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sturgeon.extras import require

require("local", "SturgeonSearchCV", ("numpy", "scipy", "threadpoolctl"))

from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state, get_tags

import sturgeon
from sturgeon.search.coarse_to_fine import suggest
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import Finished, History
from sturgeon.space import Space

Evaluate = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


class SturgeonSearchCV(BaseSearchCV):  # type: ignore[misc,unused-ignore]
    """Coarse to fine search over the parameters of an estimator, scored by cross validation.

    space: parameters by name (`svc__C` of a pipeline's step), made by `sturgeon.log`, `choice` and the others.
    n_trials: how many parameters are tried. study: the name of a study: trials are then asked from its server
    (STURGEON_SERVER, or an embedded one in `folder`), kept there, shared with other processes that fit the same study,
    and not tried again when `fit` is called again; without it the search runs in this process, and needs no server.
    random_state: seeds the search; other parameters are those of scikit-learn's searches. The attributes after `fit`
    are those of `GridSearchCV`; of a study they are about the trials of this process.
    """

    def __init__(
        self,
        estimator: Any,
        space: Mapping[str, Any],
        *,
        n_trials: int = 50,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        study: str | None = None,
        folder: str | os.PathLike[str] = ".sturgeon",
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.random_state = random_state
        self.study = study
        self.folder = folder

    def _run_search(self, evaluate_candidates: Evaluate) -> None:
        if not isinstance(self.n_trials, numbers.Integral) or self.n_trials < 1:
            raise ValueError(f"n_trials must be a positive integer; it is {self.n_trials!r}.")
        score = f"mean_test_{self.refit if isinstance(self.refit, str) else 'score'}"
        if self.study is None:
            self._search_here(evaluate_candidates, score)
        else:
            self._search_study(self.study, evaluate_candidates, score)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = get_tags(self.estimator).target_tags.multi_output
        return tags

    def _search_here(self, evaluate: Evaluate, score: str) -> None:
        space = Space.model_validate(dict(self.space))
        if problems := space.problems():
            raise ValueError("; ".join(problem.detail for problem in problems))
        seed = _seed(self.random_state)
        finished: list[Finished] = []
        memo = Memo()
        for number in range(int(self.n_trials)):
            point = suggest(space, seed, number, History(tuple(finished), (), ()), memo=memo).point
            value = float(evaluate([space.decode(point)])[score][-1])
            finished.append(Finished(number, tuple(point), -value if np.isfinite(value) else None))

    def _search_study(self, name: str, evaluate: Evaluate, score: str) -> None:
        metric = score.removeprefix("mean_test_")
        search = {} if self.random_state is None else {"seed": _seed(self.random_state)}
        trials = int(self.n_trials)
        with sturgeon.study(
            name, dict(self.space), maximize=metric, trials=trials, search=search, folder=self.folder
        ) as study:
            trial = None
            for trial in study:
                results = evaluate([dict(trial.params)])
                spread = float(results[f"std_test_{metric}"][-1])
                trial.report(0, {metric: float(results[score][-1]), f"std_{metric}": spread})
            if trial is None and (found := study.recommended or study.best) is not None:
                evaluate([found.params])  # all trials were made by others, or before


def _seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(2**31 - 1))
