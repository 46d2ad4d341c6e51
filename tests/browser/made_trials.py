"""Made-up trials of a network, as many as one likes: for pictures, the benchmark of the page and its tests."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sturgeon.messages import ImportedTrial

EPOCHS: Final = 20
PRUNED_AT: Final = 5
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPACE: Final[dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 0.1, "scale": "log"},
    "momentum": {"type": "float", "low": 0.5, "high": 0.99},
    "hidden_units": {"type": "int", "low": 16, "high": 256},
    "hidden_layers": {"type": "int", "low": 1, "high": 4},
    "batch_size": {"type": "choice", "values": [32, 64, 128, 256]},
    "activation": {"type": "choice", "values": ["relu", "tanh"]},
}


@dataclass(frozen=True)
class MadeTrial:
    number: int
    params: dict[str, Any]
    curve: dict[int, float]
    """Epoch -> loss."""
    pruned: bool

    @property
    def value(self) -> float:
        return self.curve[max(self.curve)]

    def as_imported(self, metric: str = "loss") -> ImportedTrial:
        started = NOON + timedelta(seconds=self.number)
        reports = [{"step": epoch, "epoch": epoch, "metrics": {metric: loss}} for epoch, loss in self.curve.items()]
        told = {
            "key": f"made/{self.number}",
            "params": self.params,
            "state": "pruned" if self.pruned else "complete",
            "metrics": {metric: self.value},
            "started_at": started,
            "finished_at": started + timedelta(seconds=len(self.curve)),
            "reports": reports,
        }
        return ImportedTrial.model_validate(told)


def made_trials(count: int, seed: int = 0) -> Iterator[MadeTrial]:
    """Random trials of a bowl with noise, a fifth of them pruned."""
    chance = random.Random(seed)
    for number in range(count):
        params = {
            "learning_rate": 10 ** chance.uniform(-5, -1),
            "momentum": chance.uniform(0.5, 0.99),
            "hidden_units": chance.randint(16, 256),
            "hidden_layers": chance.randint(1, 4),
            "batch_size": chance.choice([32, 64, 128, 256]),
            "activation": chance.choice(["relu", "tanh"]),
        }
        end = 0.02 + 0.008 * (math.log10(params["learning_rate"]) + 2.5) ** 2 + 0.02 * abs(params["momentum"] - 0.9)
        end += 0.01 * chance.random()
        pruned = chance.random() < 0.2
        epochs = range(1, (PRUNED_AT if pruned else EPOCHS) + 1)
        curve = {epoch: end + 0.3 * math.exp(-epoch / 3) * (0.8 + 0.4 * chance.random()) for epoch in epochs}
        yield MadeTrial(number, params, curve, pruned)
