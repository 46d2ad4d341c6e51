"""Real trainings of scikit-learn on its bundled data, as tables of 600 random points each, and forests that serve them.

`python -m benchmarks.search_trainings` trains what has no table yet: about ten minutes for all of them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sturgeon.search.cube import Array, Cube
from sturgeon.space import Space

FOLDER = Path(__file__).parent / "search_tables"
ROWS = 600
TREES = 30


class Training(NamedTuple):
    """Parameters -> an unfitted model; its score is one minus the mean of 3-fold cross-validation."""

    space: Space
    load: Callable[[], Any]
    model: Callable[[dict[str, Any]], Any]


def real(low: float, high: float, scale: str = "log", **more: Any) -> dict[str, Any]:
    return {"type": "float", "low": low, "high": high, "scale": scale, **more}


def whole(low: int, high: int, scale: str = "linear", **more: Any) -> dict[str, Any]:
    return {"type": "int", "low": low, "high": high, "scale": scale, **more}


def choice(*values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "values": list(values), **more}


def mlp(p: dict[str, Any]) -> Any:
    return MLPClassifier(
        (p["hidden_units"],),
        solver="sgd",
        activation=p["activation"],
        learning_rate_init=p["learning_rate"],
        momentum=p["momentum"],
        alpha=p["alpha"],
        batch_size=p["batch_size"],
        max_iter=10,
        random_state=0,
    )


def svm(p: dict[str, Any]) -> Any:
    model = SVC(C=p["c"], kernel=p["kernel"], gamma=p.get("gamma", 1.0), degree=p.get("degree", 3), max_iter=20_000)
    return make_pipeline(StandardScaler(), model) if p["standardise"] else model


def forest(p: dict[str, Any]) -> Any:
    return RandomForestClassifier(20, **p, random_state=0)


def boosting(p: dict[str, Any]) -> Any:
    return HistGradientBoostingRegressor(**p, early_stopping=False, random_state=0)


def linear(p: dict[str, Any]) -> Any:
    return make_pipeline(StandardScaler(), SGDClassifier(**p, learning_rate="invscaling", max_iter=30, random_state=0))


def neighbours(p: dict[str, Any]) -> Any:
    model = KNeighborsClassifier(p["n_neighbors"], weights=p["weights"], p=p["p"])
    return make_pipeline(PCA(p["components"], whiten=p["whiten"], random_state=0), model)


def _training(parameters: dict[str, Any], load: Callable[..., Any], model: Callable[[dict[str, Any]], Any]) -> Training:
    return Training(Space.model_validate(parameters), lambda: load(return_X_y=True), model)


TRAININGS: dict[str, Training] = {
    "mlp digits": _training(
        {
            "learning_rate": real(1e-4, 1),
            "hidden_units": whole(8, 128, "log"),
            "momentum": real(0.5, 0.99, "one_minus_log"),
            "alpha": real(1e-6, 1),
            "batch_size": choice(16, 32, 64, 128, 256, ordered=True),
            "activation": choice("relu", "tanh", "logistic"),
        },
        datasets.load_digits,
        mlp,
    ),
    "svm wine": _training(
        {
            "kernel": choice("linear", "rbf", "poly", "sigmoid"),
            "c": real(1e-3, 1e3),
            "gamma": real(1e-5, 10, when={"kernel": ["rbf", "poly", "sigmoid"]}),
            "degree": whole(2, 5, when={"kernel": ["poly"]}),
            "standardise": choice(True, False),
        },
        datasets.load_wine,
        svm,
    ),
    "svm digits": _training(
        {
            "c": real(1e-2, 1e3),
            "gamma": real(1e-6, 1),
            "kernel": choice("rbf", "sigmoid"),
            "standardise": choice(True, False),
        },
        datasets.load_digits,
        svm,
    ),
    "forest cancer": _training(
        {
            "max_features": real(0.03, 1.0, "linear"),
            "max_depth": whole(1, 20),
            "min_samples_leaf": whole(1, 40, "log"),
            "min_samples_split": whole(2, 40, "log"),
            "criterion": choice("gini", "entropy"),
        },
        datasets.load_breast_cancer,
        forest,
    ),
    "boosting diabetes": _training(
        {
            "learning_rate": real(1e-3, 1),
            "max_iter": whole(10, 100, "log"),
            "max_leaf_nodes": whole(2, 32, "log"),
            "min_samples_leaf": whole(2, 60, "log"),
            "l2_regularization": real(1e-4, 1e2),
            "max_features": real(0.1, 1.0, "linear"),
        },
        datasets.load_diabetes,
        boosting,
    ),
    "linear cancer": _training(
        {
            "loss": choice("hinge", "log_loss", "modified_huber", "squared_hinge"),
            "penalty": choice("l2", "l1", "elasticnet"),
            "alpha": real(1e-7, 1),
            "l1_ratio": real(0.01, 0.99, "linear", when={"penalty": ["elasticnet"]}),
            "eta0": real(1e-4, 10),
            "power_t": real(0.0, 1.0, "linear"),
        },
        datasets.load_breast_cancer,
        linear,
    ),
    "neighbours digits": _training(
        {
            "components": whole(2, 60, "log"),
            "n_neighbors": whole(1, 50, "log"),
            "p": real(1.0, 4.0, "linear"),
            "weights": choice("uniform", "distance"),
            "whiten": choice(True, False),
        },
        datasets.load_digits,
        neighbours,
    ),
}


def train(name: str) -> None:
    """Train at 600 uniform points and write points and errors as a table."""
    training = TRAININGS[name]
    cube = Cube(training.space)
    X, y = training.load()
    if len(X) > 1000:
        X, y = X[:900], y[:900]
    points = cube.snap(np.random.default_rng(7).random((ROWS, cube.dimensions)))
    errors = []
    for point in points:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged is what a search meets
            model = training.model(training.space.decode(point.tolist()))
            scores = cross_val_score(model, X, y, cv=3, error_score=0.0)
        errors.append(1.0 - max(float(np.nan_to_num(scores.mean(), nan=0.0, neginf=0.0)), -1.0))
    FOLDER.mkdir(exist_ok=True)
    header = ",".join([*training.space.searched, "error"])
    np.savetxt(_file(name), np.column_stack([points, errors]), "%.6g", ",", header=header, comments="")


def surrogate(name: str, cube: Cube) -> Callable[[Array], Array]:
    """The table's score at any points [m, d] of the cube: the mean of 30 extremely randomised trees grown on it."""
    table = np.loadtxt(_file(name), delimiter=",", skiprows=1)
    ones = np.ones(cube.dimensions)
    grown = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0)
    grown.fit(cube.features(table[:, :-1], ones), table[:, -1])
    trees = [estimator.tree_ for estimator in grown.estimators_]

    def score(points: Array) -> Array:
        features = cube.features(points, ones).astype(np.float32)
        return np.mean([tree.predict(features)[:, 0] for tree in trees], axis=0)

    return score


def _file(name: str) -> Path:
    return FOLDER / f"{name.replace(' ', '_')}.csv"


if __name__ == "__main__":
    for wanted in sys.argv[1:] or TRAININGS:
        if not _file(wanted).exists():
            print(f"training {wanted}", flush=True)
            train(wanted)
