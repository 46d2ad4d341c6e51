"""Search over your own code: ask for parameters, report while it runs, tell how it went.

Start a server with `sturgeon serve`, then run `python examples/own_code.py`.
"""

import os
import uuid
from collections.abc import Iterator

from sturgeon import Client


def train(learning_rate: float, beta: float) -> Iterator[tuple[int, float]]:
    """Your code: here gradient descent with momentum, in the valley x^2 + 10 y^2."""
    x, y, vx, vy = 4.0, 2.0, 0.0, 0.0
    for step in range(1, 51):
        vx, vy = beta * vx + (1 - beta) * 2 * x, beta * vy + (1 - beta) * 20 * y
        x, y = x - learning_rate * vx, y - learning_rate * vy
        yield step, x**2 + 10 * y**2


STUDY = {
    "name": f"valley-{uuid.uuid4().hex[:8]}",
    "metric": "loss",
    "space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "beta": {"type": "float", "low": 0.5, "high": 0.999, "scale": "one_minus_log"},
    },
    "budget": {"max_trials": 20},
    "task": None,
}

with Client(os.environ.get("STURGEON_SERVER", "http://127.0.0.1:8000"), os.environ.get("STURGEON_TOKEN")) as client:
    study = client.create_study(STUDY).name
    while leases := client.ask(study, worker="own_code.py").leases:
        lease = leases[0]
        for step, loss in train(**lease.params):
            if step % 25 == 0:
                client.report(study, lease.number, lease.fence, [{"step": step, "metrics": {"loss": loss}}])
        client.tell(study, lease.number, lease.fence, {"loss": loss}, step=step)
    best = client.best(study).winner
    print(f"The best of {study} is trial {best.number}: loss {best.value:.3g} with {best.params}.")
