"""Worker and server are killed amid a portion of a stream: no portion is skipped or trained on twice, and the weights
are those of an undisturbed run with the same timeline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sturgeon.cli.replaying import replayed
from sturgeon.client import Client
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from trainer.checkpoint import Checkpoint
from trainer.config import config_from
from trainer.following import begin_stream, follow
from trainer.streams.stream import END, Stream

ROOT = Path(__file__).parents[2]
FIXED: dict[str, Any] = {"hidden_units": 16, "portion_epochs": 3, "batch_size": 16, "keep_prob": 0.9}
STUDY: dict[str, Any] = {
    "name": "river",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.001},
    "budget": {"max_trials": 10},
    "task": {
        "kind": "train",
        "dataset": "stream:incoming",
        "epochs": 1000,
        "fixed": FIXED,
        "checkpoints": {"best": 0, "last": 2},
    },
    "policies": [{"policy": "drift", "auto": True, "passes": 2, "calm_portions": 2}],
}
SHIFT, PORTIONS = 3, 6
FIRST, SECOND = (3, 5), (4, 7)
"""Portion and batch, amid the drift policy's answer to the shift and amid the portion after it."""


def write(folder: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    y = np.arange(160) % 4
    X = rng.standard_normal((160, 8)) + (y[:, None] == np.arange(8) % 4) * (1.5 if number < SHIFT else -1.5)
    whole = folder / f"{number}.part"
    with whole.open("wb") as file:
        np.savez(file, X=X, y=y)
    whole.rename(folder / f"{number}.npz")


def breakpoint_at(at: tuple[int, int], file: Path) -> dict[str, Any]:
    """What makes a worker stand still after this portion and batch until the file is there."""
    env = {"PYTHONPATH": str(ROOT), "BREAKPOINT": f"{at[0]}:{at[1]}:{file}"}
    return {"program": (sys.executable, "-m", "tests.faults.breakpoint_worker"), **env}


def newest(client: Client) -> Checkpoint | None:
    listed = client.checkpoints("river", 0).items
    return Checkpoint.from_bytes(client.checkpoint("river", 0, listed[-1].step)) if listed else None


def stands_at(client: Client, place: tuple[int, int]) -> bool:
    """The checkpoint from there, amid a portion's training, is at the server."""
    checkpoint = newest(client)
    return checkpoint is not None and (checkpoint.epoch, checkpoint.position) == place


def undisturbed(client: Client, folder: Path) -> Checkpoint:
    trial = client.trial("river", 0)
    config = config_from({"dataset": "stream:incoming", "epochs": 1000, **FIXED, **STUDY["params"]})
    changes: dict[int, dict[str, Any]] = {}
    for entry in client.timeline("river", 0).items:
        assert entry.from_step is not None
        changes[entry.from_step + 1] = changes.get(entry.from_step + 1, {}) | entry.params
    stream = Stream(folder)
    first, _ = begin_stream(config, stream, trial.seed)
    assert first is not None
    *_, last = follow(first, stream, changes=changes)
    return last.checkpoint()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_stream_is_followed_to_the_same_bits_when_worker_and_server_are_killed(
    database: str,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    env = {"STURGEON_LEASE_S": "1", "STURGEON_REAP_EVERY_S": "0.2"}
    if database == "postgres":
        env["STURGEON_DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
    server = server_process(**env)
    folder, opened = tmp_path / "data" / "incoming", tmp_path / "opened"
    folder.mkdir(parents=True)
    for number in range(FIRST[0] + 1):
        write(folder, number)
    options = (server.url, "--data", str(folder.parent))
    first = worker_process(*options, name="first", **breakpoint_at(FIRST, tmp_path / "never"))
    with Client(server.url, patience_s=DEADLINE_S) as client:
        client.create_study(STUDY)
        first.wait_until(lambda: stands_at(client, FIRST), "it stood amid a portion")
        second = worker_process(*options, name="second", **breakpoint_at(SECOND, opened))
        first.kill()
        server.restart()
        for number in range(FIRST[0] + 1, PORTIONS):
            write(folder, number)
        (folder / "5torn.npz").write_bytes((folder / "5.npz").read_bytes()[:1000])
        (folder / END).touch()
        second.wait_until(lambda: stands_at(client, SECOND), "it went on, and stood amid another")
        assert client.trial("river", 0).worker == "second"
        server.restart()
        opened.touch()  # not before: a run waits 10 s for the answer to a portion, and goes on without it
        second.wait_until(lambda: client.trial("river", 0).state == "complete", "it was complete")

        portions = [one.metrics["portion"] for one in client.trial_metrics("river", 0, page_size=1000).items]
        assert portions == list(range(PORTIONS)), "none is skipped, none comes twice"
        kinds = [one.kind for one in client.events("river").items if one.kind in ("portion_refused", "drift")]
        assert sorted(kinds) == ["drift", "portion_refused"]
        timeline = client.timeline("river", 0).items
        assert [one.params.get("forget_before") for one in timeline] == [SHIFT, None]
        end, expected = newest(client), undisturbed(client, folder)
        assert end is not None
        assert end.stream is not None
        assert expected.stream is not None
        assert (end.step, end.epoch, end.stream.portions) == (expected.step, PORTIONS, expected.stream.portions)
        assert np.array_equal(end.theta, expected.theta)
        assert client.errors("river", 0)["portions"]["last"] == PORTIONS - 1
        write(folder, 99)  # what comes later is no part of it
        steps = [one.step for one in client.checkpoints("river", 0).items]
        assert [one.exact for one in replayed(client, "river", 0, (folder.parent,))] == [True] * len(steps)
