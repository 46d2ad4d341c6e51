"""A sweep of 200 trials of 20 epochs on digits with each library, as a worker runs them: CPU seconds.

The space: learning rate (log), hidden units of two layers (steps of 16), batch 128. Sturgeon measures dev
error after every epoch, as a worker reports it; the others once, at the end.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.trainer_peers import torch_model
from trainer.config import TrainConfig, shared_fields
from trainer.data.preparation import Data, prepare
from trainer.stack import useful_models
from trainer.training import train

EPOCHS = 20


def trials(count: int) -> list[TrainConfig]:
    """Random configs of the space."""
    rng = np.random.default_rng(0)
    return [
        TrainConfig(
            "digits",
            epochs=EPOCHS,
            batch_size=128,
            hidden_units=tuple(int(units) for units in 16 * rng.integers(4, 9, 2)),
            learning_rate=float(10 ** rng.uniform(-4, -1)),
        )
        for _ in range(count)
    ]


def by_sturgeon(configs: list[TrainConfig], data: Data) -> tuple[float, float]:
    """Mean dev error, and the share of trials that ran in a stack."""
    groups = defaultdict(list)
    for config in configs:
        groups[shared_fields(config)].append(config)
    errors, stacked = [], 0
    for group in groups.values():
        size = useful_models(group[0], data)
        for start in range(0, len(group), size):
            stack = group[start : start + size]
            stacked += len(stack) if len(stack) > 1 else 0
            run = train(stack, data, list(range(len(stack))))
            errors += [progress.metrics["dev_error"] for progress in run if progress.ended]
    return float(np.mean(errors)), stacked / len(configs)


def by_scikit_learn(configs: list[TrainConfig], data: Data) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    errors = []
    for config in configs:
        model = MLPClassifier(
            config.widths(),
            batch_size=128,
            alpha=0,
            learning_rate_init=config.learning_rate,
            max_iter=EPOCHS,
            n_iter_no_change=10**6,
            tol=0,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(data.train.X, data.train.Y.argmax(axis=1))
        errors.append(1 - model.score(data.dev.X, data.dev.Y.argmax(axis=1)))
    return float(np.mean(errors))


def by_torch(configs: list[TrainConfig], data: Data) -> float:
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    X, y = torch.from_numpy(data.train.X), torch.from_numpy(data.train.Y.argmax(axis=1))
    errors = []
    for config in configs:
        torch.manual_seed(0)
        model = torch_model((64, *config.widths(), 10), regularized=False)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(X)).split(128):
                optimizer.zero_grad(set_to_none=True)
                cross_entropy(model(X[rows]), y[rows]).backward()
                optimizer.step()
        with torch.no_grad():
            guesses = model(torch.from_numpy(data.dev.X)).argmax(dim=1).numpy()
        errors.append(float(np.mean(guesses != data.dev.Y.argmax(axis=1))))
    return float(np.mean(errors))


def sweep(count: int = 200, rounds: int = 2) -> dict[str, Any]:
    """CPU seconds and mean dev error of each library over the same trials, in turns.

    Sturgeon's stacks come from all trials together, as a server hands them out: it runs them all in each round,
    the others their share; its seconds are the mean of its rounds.
    """
    configs, data = trials(count), prepare(TrainConfig("digits"))
    libraries: dict[str, Any] = {"scikit-learn": by_scikit_learn, "torch": by_torch}
    seconds: dict[str, float] = defaultdict(float)
    errors: dict[str, list[float]] = defaultdict(list)
    for part in (configs[start::rounds] for start in range(rounds)):
        for name, library in libraries.items():
            begin = time.process_time()
            errors[name].append(library(part, data))
            seconds[name] += time.process_time() - begin
        begin = time.process_time()
        mean, stacked = by_sturgeon(configs, data)
        seconds["sturgeon"] += (time.process_time() - begin) / rounds
        errors["sturgeon"].append(mean)
    means = {name: float(np.mean(found)) for name, found in errors.items()}
    return {"trials": count, "cpu_seconds": dict(seconds), "mean_dev_error": means, "share_stacked": stacked}
