"""`python -m trainer.compile_loops`: compile the trainer's loops once, so that no worker and no test waits for it.

numba keeps them beside their modules. Else each process compiles what it uses, on a new machine all of them at once.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np

from trainer.config import CHOICES, TrainConfig
from trainer.data.preparation import prepare
from trainer.training import begin, resume

EACH: Final[list[dict[str, Any]]] = [
    *({field: name} for field in ("optimizer", "activation") for name in CHOICES[field]),
    {"batch_norm": True, "keep_prob": 0.9, "l2": 0.1},
]
"""Together they use every loop."""


def main() -> None:
    """Train a small network for an epoch in each of these ways, in float32 and, for gradient checks, in float64."""
    for chosen, dtype in product(EACH, (np.float32, np.float64)):
        config = TrainConfig("iris", epochs=1, hidden_units=4, hidden_layers=2, **chosen)
        data = prepare(config)
        first = begin(config, data, seed=0)
        for _ in resume([replace(first, theta=first.theta.astype(dtype))], data):
            pass


if __name__ == "__main__":
    main()
