"""A panda on data that change: constant hyperparameters against the drift policy, on the same portions.

Runs the trainer with the very policy function that the server uses. The constants are the best of a grid on the control
stream, by seeds that are not measured afterwards.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))  # before numpy is imported


import numpy as np

from benchmarks.drift_plot import plot
from benchmarks.drift_streams import PORTIONS, SHIFT, SHIFTS, portions_of, write
from server.policies import drift
from server.policies.curve import Point
from server.policies.view import PolicyView
from sturgeon.messages import DriftPolicy
from trainer.config import LIVE, TrainConfig
from trainer.data.datasets import Dataset
from trainer.data.loading import load
from trainer.following import begin_stream, follow
from trainer.numerics import numerics
from trainer.streams.stream import Stream
from trainer.training import Command

HERE = Path(__file__).resolve().parent
FIXED = {"dataset": "stream:drift", "epochs": 1000, "hidden_units": 64, "batch_size": 32}
GRID = {"learning_rate": [0.001, 0.003, 0.01], "portion_epochs": [1, 3], "replay_share": [0.0, 0.5, 0.8]}
TUNING_SEEDS = (100, 101)
ANSWER = DriftPolicy(policy="drift")
AFTER = 5
"""The errors of so many portions after the shift are averaged."""

Job = tuple[str, str, int, str, dict[str, Any]]
"""Data set, shift, seed, arm, parameters."""


def main() -> None:
    args = _arguments()
    with get_context("fork").Pool(args.processes) as pool:
        usual = {name: _tuned(name, pool) for name in args.datasets}
        jobs: list[Job] = [
            (name, shift, seed, arm, params)
            for name, shift, seed in itertools.product(args.datasets, SHIFTS, range(args.seeds))
            for arm, params in _arms(usual[name]["params"]).items()
        ]
        curves = pool.map(_run, jobs, chunksize=1)
    rows = [_row(name, shift, jobs, curves) for name in args.datasets for shift in SHIFTS]
    _tell(rows)
    if args.write:
        told = {"usual": usual, "grid": GRID, "answer": ANSWER.model_dump(), "rows": rows}
        setting = {"fixed": FIXED, "portions": PORTIONS, "shift": SHIFT, "seeds": args.seeds, "numerics": numerics()}
        (HERE / "results" / "drift.json").write_text(json.dumps(setting | told, indent=1) + "\n")
        (HERE.parent / "docs" / "drift.svg").write_text(plot(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-drift", description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["digits", "mnist_5k"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/drift.json and docs/drift.svg")
    return parser.parse_args()


def _arms(usual: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`busy` has the policy's passes all the time, and nothing else of it, `clipped` its clipped inputs: what is due to
    them alone."""
    busy, clipped = {"portion_epochs": ANSWER.passes}, {"clip_inputs": ANSWER.clip_inputs}
    return {"constant": usual, "policy": usual, "busy": usual | busy, "clipped": usual | clipped}


def _tuned(name: str, pool: Any) -> dict[str, Any]:
    """The parameters of the grid with the least mean fresh error on the control stream, portions 5 to the last."""
    grid = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    jobs = [(name, "none", seed, "constant", params) for params in grid for seed in TUNING_SEEDS]
    curves = pool.map(_run, jobs, chunksize=1)
    errors = [float(np.mean([point["fresh_error"] for point in curve[5:]])) for curve in curves]
    means = np.reshape(errors, (len(grid), len(TUNING_SEEDS))).mean(axis=1).tolist()
    best = int(np.argmin(means))
    return {"params": grid[best], "control_error": means[best]}


@cache
def _dataset(name: str) -> Dataset:
    return load(name)


def _run(job: Job) -> list[dict[str, float]]:
    """The metrics of each portion."""
    name, shift, seed, arm, params = job
    dataset = _dataset(name)
    config = TrainConfig(**FIXED, **params)
    with tempfile.TemporaryDirectory() as folder:
        write(portions_of(dataset, shift, seed), dataset.names, Path(folder))
        stream = Stream(Path(folder))
        first, _ = begin_stream(config, stream, seed)
        assert first is not None
        run = follow(first, stream)
        watcher = _Watcher(config) if arm == "policy" else None
        curve: list[dict[str, float]] = []
        command: Command | None = None
        began = time.process_time()
        while (progress := run.send(command)).ended is None:
            command = None
            if progress.metrics:
                curve.append(progress.metrics | {"cpu_seconds": time.process_time() - began})
                command = watcher.after(progress.step, progress.epoch, progress.metrics) if watcher else None
    return curve


class _Watcher:
    """What the server does with a policy that has `auto`."""

    def __init__(self, config: TrainConfig) -> None:
        self.usual: dict[str, Any] = {name: getattr(config, name) for name in LIVE}
        self.params, self.curve, self.proposed_at = dict(self.usual), [], -1  # type: dict[str, Any], list[Point], int

    def after(self, step: int, epoch: int, metrics: Mapping[str, float]) -> Command | None:
        self.curve.append(Point(step, epoch, dict(metrics)))
        view = PolicyView(self.curve, self.params, self.usual, proposed_at=self.proposed_at)
        change = drift.propose(ANSWER, view)
        if change is None:
            return None
        self.params |= change.params
        self.proposed_at = step
        return Command(change.params)


def _row(name: str, shift: str, jobs: list[Job], curves: list[list[dict[str, float]]]) -> dict[str, Any]:
    mine = {arm: [c for j, c in zip(jobs, curves, strict=True) if j[:2] == (name, shift) and j[3] == arm] for arm in
            _arms({})}  # fmt: skip
    errors = {arm: np.array([[p["fresh_error"] for p in c] for c in runs]) for arm, runs in mine.items()}
    after = {arm: e[:, SHIFT : SHIFT + AFTER].mean(axis=1) for arm, e in errors.items()}
    alarms = [[n for n, p in enumerate(c) if p["drift"]] for c in mine["policy"]]
    late = [min((n for n in a if n >= SHIFT), default=None) for a in alarms]
    unchanged = range(PORTIONS) if shift == "none" else range(SHIFT)
    return {
        "dataset": name,
        "shift": shift,
        "after": {arm: float(values.mean()) for arm, values in after.items()},
        "ratio": float(after["policy"].mean() / after["constant"].mean()),
        "ratios": (after["policy"] / np.maximum(after["constant"], 1e-9)).tolist(),
        "ratio_without_the_first": _ratio(errors, SHIFT + 1),
        "ratio_to_busy": float(after["policy"].mean() / after["busy"].mean()),
        "ratio_to_clipped": float(after["policy"].mean() / after["clipped"].mean()),
        "alarm_delays": [None if at is None or shift == "none" else at - SHIFT for at in late],
        "false_alarms": [sum(n in unchanged for n in a) for a in alarms],
        "unchanged_portions": len(unchanged),
        "cpu_seconds": {arm: float(np.mean([c[-1]["cpu_seconds"] for c in runs])) for arm, runs in mine.items()},
        "curves": {arm: e.mean(axis=0).round(4).tolist() for arm, e in errors.items()},
    }


def _ratio(errors: dict[str, Any], start: int) -> float:
    window = slice(start, start + AFTER)
    return float(errors["policy"][:, window].mean() / errors["constant"][:, window].mean())


def _tell(rows: list[dict[str, Any]]) -> None:
    heads = (
        "data",
        "shift",
        "constant",
        "policy",
        "ratio",
        "without first",
        "to busy",
        "to clipped",
        "alarm after",
        "false alarms",
    )
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        delays = "-" if row["shift"] == "none" else ", ".join(str(delay) for delay in row["alarm_delays"])
        false = f"{sum(row['false_alarms'])} in {row['unchanged_portions'] * len(row['false_alarms'])}"
        cells = [row["dataset"], row["shift"], *(f"{row['after'][arm]:.3f}" for arm in ("constant", "policy"))]
        cells += [
            f"{row[key]:.2f}" for key in ("ratio", "ratio_without_the_first", "ratio_to_busy", "ratio_to_clipped")
        ]
        print("| " + " | ".join([*cells, delays, false]) + " |")


if __name__ == "__main__":
    main()
