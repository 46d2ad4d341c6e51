"""The studies of a soak: of clients that ask and tell, and of all that workers run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

Json = dict[str, Any]
SPACE: Final[Json] = {"x": {"type": "float", "low": -1, "high": 1}, "n": {"type": "int", "low": 1, "high": 4}}
_ASKED: Final[Json] = {"metric": "loss", "space": SPACE, "search": {"sampler": "random", "seed": 7}}
_TRAINED: Final[Json] = {
    "kind": "train",
    "dataset": "digits",
    "fixed": {"hidden_units": 64, "batch_size": 4},
    "checkpoints": {"best": 1, "last": 2, "every_s": 2},
}
OWN_CODE: Final = """
import json, os, pathlib, time
folder = pathlib.Path(os.environ["STURGEON_CHECKPOINT"])
state = folder / "state.json"
step = json.loads(state.read_text())["step"] if state.exists() else 0
x = json.loads(os.environ["STURGEON_PARAMS"])["x"]
while step < 40:
    step += 1
    part = folder / "state.part"
    part.write_text(json.dumps({"step": step, "x": x}))
    part.replace(state)
    print("STURGEON", json.dumps({"step": step, "epoch": step, "loss": x * x + 1 / step}), flush=True)
    time.sleep(0.25)
"""
"""A user's program that goes on from what it left in its folder."""

ASKED: Final = (
    _ASKED | {"name": "tight", "budget": {"max_trials": 40}},
    _ASKED | {"name": "asked", "budget": {"max_trials": 100_000}},
    _ASKED | {"name": "fine", "search": {"sampler": "coarse_to_fine"}, "budget": {"max_trials": 300}},
)
"""What clients run themselves; the budget of the first is soon spent."""

PORTION_EVERY_S: Final = 2.0
PORTION: Final = 160
"""Examples in it."""


def run_by_workers() -> list[Json]:
    """Networks, a panda, a stream, and a user's program."""
    return [
        {
            "name": "digits",
            "metric": "dev_error",
            "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}},
            "budget": {"max_trials": 100_000},
            "pruning": {"rule": "asha", "grace": 100},
            "task": _TRAINED | {"epochs": 1000},
        },
        {
            "name": "panda",
            "mode": "panda",
            "metric": "dev_error",
            "params": {"learning_rate": 0.01},
            "budget": {"max_trials": 12},
            "task": _TRAINED | {"epochs": 100_000},
            "policies": [{"policy": "plateau", "metric": "dev_loss", "patience_epochs": 100, "factor": 0.5}],
        },
        {
            "name": "river",
            "mode": "panda",
            "metric": "dev_error",
            "params": {"learning_rate": 0.001},
            "budget": {"max_trials": 5},
            "task": {
                "kind": "train",
                "dataset": "stream:incoming",
                "epochs": 100_000,
                "fixed": {"hidden_units": 16, "portion_epochs": 2, "batch_size": 16},
                "checkpoints": {"best": 0, "last": 2, "every_s": 2},
            },
        },
        {
            "name": "own",
            "metric": "loss",
            "space": {"x": {"type": "float", "low": -1, "high": 1}},
            "budget": {"max_trials": 100_000},
            "task": {"kind": "command", "argv": [sys.executable, "own.py"], "checkpoints": {"every_s": 1}},
        },
    ]


STEERED: Final = ("panda", "river", "own", "digits")


def write_portion(folder: Path, number: int) -> None:
    """The next portion of the stream; it is whole when it has its name."""
    chance = np.random.default_rng(number)
    y = np.arange(PORTION) % 4
    X = chance.standard_normal((PORTION, 8)) + (y[:, None] == np.arange(8) % 4) * (1.5 if number % 20 < 10 else -1.5)
    part = folder / f"{number}.part"
    with part.open("wb") as file:
        np.savez(file, X=X, y=y)
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / f"{number:06}.npz")
