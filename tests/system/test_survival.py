"""Workers and servers die in the middle of a study, with the settings that a user has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sturgeon.client import Client
from sturgeon.errors import LeaseLost
from sturgeon.messages import Trial
from tests.processes import LONG_DEADLINE_S, ServerProcess, WorkerProcess
from tests.worker.paced import paced

BEATS = 5  # of a worker's heart: a third of a lease apart, give or take a fifth
STEP_S, EPOCHS = 0.02, 20
"""A run takes at least ten seconds: an epoch on digits has 23 steps."""
SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"},
    "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
}

Servers = Callable[..., ServerProcess]
Workers = Callable[..., WorkerProcess]


def study_of(trials: int, epochs: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "long",
        "metric": "dev_error",
        "space": SPACE,
        "search": {"sampler": "random", "seed": 3},
        "pruning": {"rule": "none"},
        "budget": {"max_trials": trials},
        "task": {"kind": "train", "dataset": "digits", "epochs": epochs, "fixed": {"hidden_units": 128}},
        **more,
    }


def running_with_a_report(client: Client) -> list[Trial]:
    running = client.trials("long", state="running").items
    return [trial for trial in running if client.trial_metrics("long", trial.number, page_size=1).items]


def completed(client: Client) -> bool:
    return client.study("long").state == "completed"


@pytest.fixture(params=["sqlite", "postgres"])
def long_lived(request: pytest.FixtureRequest, server_process: Servers) -> ServerProcess:
    """A server on each kind of database, which survives the server's death."""
    if request.param == "sqlite":
        return server_process()
    return server_process(STURGEON_DATABASE_URL=request.getfixturevalue("migrated_postgres_url"))


def test_the_trial_of_a_killed_worker_runs_again_elsewhere_and_the_study_completes(
    long_lived: ServerProcess, worker_process: Workers
) -> None:
    workers = {name: worker_process(long_lived.url, name=name, **paced(STEP_S)) for name in ("first", "second")}
    with Client(long_lived.url) as client:
        client.create_study(study_of(trials=4, epochs=EPOCHS))
        long_lived.wait_until(lambda: bool(running_with_a_report(client)), "a trial reported")
        victim = running_with_a_report(client)[0]
        fence = client.trial_metrics("long", victim.number).items[0].fence
        workers[str(victim.worker)].kill()
        [survivor] = set(workers) - {victim.worker}
        long_lived.wait_until(lambda: completed(client), "the study completed", LONG_DEADLINE_S)

        again = client.trial("long", victim.number)
        assert (again.state, again.worker, again.params) == ("complete", survivor, victim.params)
        assert again.attempt == 0, "it had reported, so its worker's death was not its fault"
        assert client.study("long").counts == {"complete": 4}

        with pytest.raises(LeaseLost):
            client.tell("long", victim.number, fence=fence, metrics={"dev_error": 0.0})
        [late] = client.late_results("long").items
        assert (late.number, late.fence, late.body["metrics"]) == (victim.number, fence, {"dev_error": 0.0})
        assert client.trial("long", victim.number) == again


def test_a_server_that_is_away_for_longer_than_a_lease_spends_no_attempt(
    long_lived: ServerProcess, worker_process: Workers, tmp_path: Path
) -> None:
    alive, beats = tmp_path / "alive", set[int]()
    worker = worker_process(long_lived.url, "--slots", "2", "--alive-file", str(alive), **paced(STEP_S))

    def beat_for_longer_than_a_lease() -> bool:
        beats.add(alive.stat().st_mtime_ns)
        return len(beats) > BEATS

    with Client(long_lived.url) as client:
        client.create_study(study_of(trials=4, epochs=EPOCHS))
        long_lived.wait_until(lambda: len(running_with_a_report(client)) == 2, "two trials reported")
        long_lived.kill()
        worker.wait_until(beat_for_longer_than_a_lease, "its heart had beaten for longer than a lease")
        long_lived.start()
        long_lived.wait_until(lambda: completed(client), "the study completed", LONG_DEADLINE_S)

        trials = client.trials("long").items
        assert [(trial.state, trial.attempt) for trial in trials] == [("complete", 0)] * 4
        assert client.late_results("long").items == []
        for trial in trials:
            curve = client.trial_metrics("long", trial.number, page_size=1000)
            assert len({point.fence for point in curve.items}) == 1, "the run that was there before the outage went on"


@pytest.mark.parametrize("how_many", [1, 4])
def test_any_number_of_workers_trains_the_same_100_parameter_sets(
    how_many: int, server_process: Servers, worker_process: Workers, sturgeon_draws: list[dict[str, Any]]
) -> None:
    server = server_process()
    for _ in range(how_many):
        worker_process(server.url)
    with Client(server.url) as client:
        client.create_study(study_of(trials=100, epochs=1))
        server.wait_until(lambda: completed(client), "the study completed", LONG_DEADLINE_S)
        assert [trial.params for trial in client.all_trials("long")] == sturgeon_draws


@pytest.fixture(scope="module")
def sturgeon_draws() -> list[dict[str, Any]]:
    """The parameters of the first 100 trials of seed 3, drawn without a server."""
    from sturgeon.search.samplers import uniform_point
    from sturgeon.space import Space

    space = Space.model_validate(SPACE)
    return [space.decode(uniform_point(3, number, 2)) for number in range(100)]
