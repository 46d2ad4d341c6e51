"""The file of a trial's newest checkpoint is damaged or gone when its worker is killed: the next worker goes on from
the one before, the timeline says so, and what is trained then can be trained again bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sturgeon.cli.replaying import replayed
from sturgeon.client import Client
from sturgeon.messages import Checkpoint
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from tests.worker.paced import paced

STEP_S = 0.05
PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.003},
    "budget": {"max_trials": 1},
    "task": {
        "kind": "train",
        "dataset": "iris",
        "epochs": 100_000,
        "fixed": {"hidden_units": 8, "batch_size": 64},
        "checkpoints": {"best": 0, "last": 2, "every_epochs": 2},
    },
}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.fault("L3")
@pytest.mark.parametrize(("kind", "damage"), [("sqlite", flip), ("postgres", Path.unlink)])
def test_a_worker_goes_on_from_the_checkpoint_before_a_spoilt_one(
    kind: str,
    damage: Callable[[Path], None],
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(
        STURGEON_DATABASE_URL=url,
        STURGEON_LEASE_S="1",
        STURGEON_REAP_EVERY_S="0.1",
        STURGEON_CHECKPOINTS=str(tmp_path / "kept"),
    )
    first = worker_process(server.url, name="first", **paced(STEP_S))
    with Client(server.url, patience_s=DEADLINE_S) as client:

        def kept() -> list[Checkpoint]:
            return client.checkpoints("bear", 0).items if client.trials("bear").items else []

        client.create_study(PANDA)
        first.wait_until(lambda: len(kept()) == 2, "it had two checkpoints")
        first.kill()
        server.wait_until(lambda: client.trial("bear", 0).state == "queued", "nothing of it is on its way any more")
        older, newest = kept()
        damage(tmp_path / "kept" / newest.sha256[:2] / newest.sha256)

        spool = str(tmp_path / "spool")  # its own: else it would deliver a checkpoint that the first had not
        second = worker_process(server.url, name="second", STURGEON_SPOOL=spool, **paced(STEP_S))
        second.wait_until(lambda: bool(client.timeline("bear", 0).lost), "the loss was noticed")
        second.wait_until(lambda: kept()[0].step > older.step, "it had checkpoints of its own")
        client.stop("bear", 0)
        second.wait_until(lambda: client.trial("bear", 0).state == "complete", "it stopped")

        assert [(one.step, one.before) for one in client.timeline("bear", 0).lost] == [(newest.step, older.step)]
        assert (client.trial("bear", 0).worker, client.trial("bear", 0).attempt) == ("second", 0)
        replays = list(replayed(client, "bear", 0))
        assert [one.exact for one in replays] == [True] * len(replays)
        assert replays
