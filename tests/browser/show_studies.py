"""Studies to look at: real ones of digits with their pandas and a stream, and made-up ones that are large.

The screenshots show them. Seeds are fixed, so they come out the same each time, but for what depends on the clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_digits

from sturgeon.client import Client
from tests.browser.made_trials import SPACE, made_trials
from tests.processes import wait_until

LESSONS: Final = Path(__file__).parents[2] / "server" / "dashboard" / "static" / "course"
BATCH: Final = 250
"""Trials that are imported in one request."""
DIGITS: Final[dict[str, Any]] = {
    "name": "digits",
    "title": "Handwritten digits, from coarse to fine",
    "notes": "How small can a network be that errs on fewer than three digits in a hundred?",
    "tags": ["course", "baseline"],
    "metric": "dev_error",
    "space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "scale": "log"},
        "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
        "hidden_units": {"type": "int", "low": 32, "high": 128, "step": 16},
        "hidden_layers": {"type": "int", "low": 1, "high": 3},
        "batch_size": {"type": "choice", "values": [32, 64, 128, 256], "ordered": True},
        "keep_prob": {"type": "float", "low": 0.6, "high": 1.0},
    },
    "search": {"sampler": "coarse_to_fine", "seed": 1},
    "budget": {"max_trials": 40},
    "task": {"kind": "train", "dataset": "digits", "epochs": 15},
}
PANDA: Final[dict[str, Any]] = {
    "name": "digits-panda",
    "title": "One network, steered while it trains",
    "tags": ["panda"],
    "metric": "dev_loss",
    "mode": "panda",
    "params": {"learning_rate": 0.001, "hidden_units": 64, "keep_prob": 0.9},
    "policies": [{"policy": "plateau", "metric": "dev_loss", "patience_epochs": 8, "factor": 0.5}],
    "budget": {"max_trials": 10},
    "task": {"kind": "train", "dataset": "digits", "epochs": 60},
}
STREAM: Final[dict[str, Any]] = {
    "name": "river",
    "title": "Digits that are turned by a quarter after portion 20",
    "tags": ["stream"],
    "metric": "dev_error",
    "mode": "panda",
    "params": {"learning_rate": 0.003, "hidden_units": 64},
    "policies": [{"policy": "drift", "auto": True}],
    "budget": {"max_trials": 10},
    "task": {
        "kind": "train",
        "dataset": "stream:incoming",
        "epochs": 100_000,
        "fixed": {"window": 1, "replay_share": 0.8},
        "checkpoints": {"best": 0, "last": 2, "every_epochs": 1},
    },
}


def import_made_trials(client: Client, name: str, count: int, title: str = "") -> None:
    """A study of own code with so many made-up trials that have ended, each with its curve."""
    client.create_study(
        {"name": name, "title": title, "metric": "loss", "space": SPACE, "search": {"sampler": "random", "seed": 1}}
        | {"budget": {"max_trials": count + 100}}
    )
    trials = [trial.as_imported() for trial in made_trials(count)]
    for start in range(0, count, BATCH):
        client.import_trials(name, trials[start : start + BATCH])


def write_portions(folder: Path, portions: int = 40, turned_from: int = 20) -> None:
    """A stream of digits, the later ones turned by a quarter."""
    folder.mkdir(parents=True)
    digits = load_digits()
    names = np.array([str(name) for name in digits.target_names])
    order = np.random.default_rng(0).permutation(len(digits.data))
    for number, rows in enumerate(np.array_split(order, portions)):
        X = digits.data[rows]
        if number >= turned_from:
            X = np.rot90(X.reshape(-1, 8, 8), axes=(1, 2)).reshape(X.shape)
        np.savez(folder / f"{number:03}.npz", X=X, y=digits.target[rows], class_names=names)
    (folder / "END").touch()


def is_over(client: Client, study: str) -> bool:
    """Whether it has ended and nothing of it runs."""
    counts = client.study(study).counts
    return not any(counts.get(state, 0) for state in ("queued", "running"))


def run_digits(client: Client) -> None:
    """The search, its best trial promoted with a bolder rate, and that again as branches."""
    client.create_study(DIGITS)
    wait_until(lambda: client.study("digits").state == "completed", "the search ended")
    best = client.best("digits").items[0].number
    told = client.promote("digits", best, {"epochs": 40}, raise_budget=True, reason="the best of forty")
    wait_until(lambda: client.trial("digits", told.number).state == "complete", "the promoted trial ended")
    client.fork(
        "digits",
        told.number,
        [{"epochs": 50, "learning_rate": 0.0003}, {"epochs": 50, "keep_prob": 0.8}],
        raise_budget=True,
        reason="which way from here?",
    )
    wait_until(lambda: is_over(client, "digits"), "the branches ended")


def run_panda(client: Client) -> None:
    """A panda with a change that helps, one that a guard takes back, and a proposal that nobody has answered."""
    client.create_study(PANDA)

    def epoch() -> float:
        reports = client.trial_metrics("digits-panda", 0).items
        return max((one.epoch or 0 for one in reports), default=0)

    def version() -> int:
        return client.trial("digits-panda", 0).applied_version or 0

    wait_until(lambda: epoch() >= 8, "the panda had trained eight epochs")
    client.set_params("digits-panda", 0, {"learning_rate": 0.003}, "it is slow: try a larger rate")
    wait_until(lambda: version() >= 1, "the change was applied")
    client.set_params(
        "digits-panda",
        0,
        {"learning_rate": 0.5},
        "be bold",
        guard={"metric": "dev_loss", "worse_by": 0.2, "within_epochs": 10},
    )
    wait_until(lambda: version() >= 3, "the guard took the change back")
    wait_until(lambda: is_over(client, "digits-panda"), "the panda ended")


def run_lesson(client: Client, name: str) -> None:
    """The study of a row of the course, as its page begins it."""
    client.create_study(json.loads((LESSONS / f"{name}.json").read_text()))
    wait_until(lambda: client.study(name).state == "completed", f"the study {name} ended")


def run_stream(client: Client, data: Path) -> None:
    """A panda that follows a stream. `data` is the worker's folder of data."""
    write_portions(data / "incoming")
    client.create_study(STREAM)
    wait_until(lambda: is_over(client, "river"), "the stream ended")
