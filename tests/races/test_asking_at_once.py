"""Many ask at once, of two server processes on one database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sturgeon.client import Client
from sturgeon.messages import Lease
from tests.processes import ServerProcess

THREADS = 8
BUDGET = 150
STUDY = {
    "name": "raced",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "search": {"sampler": "random", "seed": 5},
    "budget": {"max_trials": BUDGET},
}


@pytest.fixture
def two_servers(migrated_url: str, server_process: Callable[..., ServerProcess]) -> list[ServerProcess]:
    """Two processes on one database. Once on each kind of database."""
    return [server_process(STURGEON_DATABASE_URL=migrated_url) for _ in range(2)]


def test_no_trial_is_handed_out_twice_the_budget_is_exact_and_numbers_have_no_gaps(
    two_servers: list[ServerProcess],
) -> None:
    with Client(two_servers[0].url) as client:
        client.create_study(STUDY)
    together = threading.Barrier(THREADS)

    def ask_until_spent(thread: int) -> list[Lease]:
        with Client(two_servers[thread % 2].url, patience_s=120) as client:
            together.wait()
            mine: list[Lease] = []
            while leases := client.ask("raced", count=1 + thread % 3).leases:
                mine += leases
                tells = [{"number": one.number, "fence": one.fence, "metrics": {"loss": 1.0}} for one in leases]
                if thread % 2:
                    client.tell_many("raced", tells)
            return mine

    with ThreadPoolExecutor(THREADS) as threads:
        leases = [lease for mine in threads.map(ask_until_spent, range(THREADS)) for lease in mine]

    assert Counter(lease.number for lease in leases) == Counter(range(BUDGET))
    assert len({lease.fence for lease in leases}) == 1, "each was handed out once"
    with Client(two_servers[1].url) as client:
        trials = list(client.all_trials("raced"))
        assert [trial.number for trial in trials] == list(range(BUDGET))
        assert {lease.number: lease.params for lease in leases} == {trial.number: trial.params for trial in trials}
        assert sum(client.study("raced").counts.values()) == BUDGET
