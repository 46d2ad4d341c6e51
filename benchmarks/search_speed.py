"""Milliseconds a suggestion, 100 trials finished and 16 running, 6 parameters: `python -m benchmarks.search_speed`.

With what a server keeps between two asks, as it reads space and history anew each time; and right after a result.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from sturgeon.search.coarse_to_fine import suggest
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import Finished, History, Running, uniform_point
from sturgeon.space import Space

PARAMETERS = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "hidden_units": {"type": "int", "low": 8, "high": 512, "scale": "log"},
    "batch_size": {"type": "choice", "values": [64, 128, 256, 512], "ordered": True},
    "optimizer": {"type": "choice", "values": ["adam", "momentum", "gradient_descent"]},
    "keep_prob": {"type": "float", "low": 0.5, "high": 1.0},
    "momentum": {
        "type": "float",
        "low": 0.8,
        "high": 0.99,
        "scale": "one_minus_log",
        "when": {"optimizer": ["momentum"]},
    },
}


def read(score_of_last: float = 0.5) -> tuple[Space, History]:
    """Space and history as new objects."""
    points = [uniform_point(1, number, 6) for number in range(116)]
    scores = [(p[0] - 0.4) ** 2 + 0.3 * p[1] + 0.1 * p[3] for p in points]
    finished = [Finished(n, points[n], scores[n]) for n in range(99)]
    running = tuple(Running(n, points[n]) for n in range(100, 116))
    return Space.model_validate(PARAMETERS), History((*finished, Finished(99, points[99], score_of_last)), running)


def median_ms(fresh_result: bool, repeats: int = 400) -> float:
    memo = Memo()
    space, history = read()
    suggest(space, 7, 116, history, memo=memo)
    spent = []
    for number in range(117, 117 + repeats):
        space, history = read(0.5 + number / 1000 if fresh_result else 0.5)
        start = time.perf_counter()
        suggest(space, 7, number, history, memo=memo)
        spent.append(1000 * (time.perf_counter() - start))
    return float(np.median(spent))


if __name__ == "__main__":
    print(f"nothing new since the last ask   {median_ms(fresh_result=False):.2f} ms")
    print(f"right after a result             {median_ms(fresh_result=True):.2f} ms")
