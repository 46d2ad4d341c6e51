"""The same seed gives the same parameter sets, whoever asks, in whatever order, on whatever database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sturgeon.search.samplers import trial_seed, uniform_point
from sturgeon.space import Space

if TYPE_CHECKING:
    from tests.running import RunningServer

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
    "hidden_units": {"type": "int", "low": 16, "high": 128, "step": 16, "scale": "log"},
    "optimizer": {"type": "choice", "values": ["adam", "momentum"]},
    "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": ["momentum"]}},
}
Drawn = dict[int, tuple[int, dict[str, Any]]]


def study(name: str, seed: int) -> dict[str, Any]:
    return {
        "name": name,
        "metric": "loss",
        "space": SPACE,
        "search": {"sampler": "random", "seed": seed},
        "budget": {"max_trials": 100},
    }


def ask_until_spent(server: RunningServer, name: str, count: int) -> Drawn:
    """Number -> seed and parameters."""
    drawn: Drawn = {}
    while leases := server.client.ask(name, count=count).leases:
        for lease in leases:
            drawn[lease.number] = (lease.seed, lease.params)
            server.client.tell(name, lease.number, lease.fence, {"loss": lease.params["learning_rate"]})
    return drawn


def test_one_client_and_four_at_once_get_the_same_hundred(server: RunningServer) -> None:
    for name, seed in (("one", 7), ("four", 7), ("other", 8)):
        server.client.create_study(study(name, seed))

    alone = ask_until_spent(server, "one", count=1)
    with ThreadPoolExecutor(4) as threads:
        shares = list(threads.map(lambda i: ask_until_spent(server, "four", count=1 + i), range(4)))
    together = {number: drawn for share in shares for number, drawn in share.items()}
    other = ask_until_spent(server, "other", count=100)

    assert sum(map(len, shares)) == 100
    assert alone == together
    assert sorted(alone) == list(range(100))
    assert all(alone[number] != other[number] for number in range(100))
    space = Space.model_validate(SPACE)
    assert alone == {
        number: (trial_seed(7, number), space.decode(uniform_point(7, number, 5))) for number in range(100)
    }
