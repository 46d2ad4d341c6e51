"""A worker needs the scope `work`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.server.tokens import guarded_server
from tests.worker.test_daemon import StartWorker, study

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings import Settings
    from tests.running import RunningServer


def test_a_worker_with_a_token_for_work_trains_and_goes_on_from_another_trial(
    migrated_sqlite_url: str,
    tmp_path: Path,
    serve: Callable[[Settings], RunningServer],
    worker_process: StartWorker,
) -> None:
    server = guarded_server(migrated_sqlite_url, tmp_path, serve)
    token = server.client.create_token("wilma", ["work"], studies=["flower", "more-"]).token
    first: dict[str, Any] = study()
    server.client.create_study(first)

    worker = worker_process(server.url, STURGEON_TOKEN=token)
    worker.wait_until(lambda: server.client.study("flowers").state == "completed", "the first study was done")
    server.client.create_study(study(fixed={"start_from": "flowers/0"}) | {"name": "more-flowers"})
    worker.wait_until(lambda: server.client.study("more-flowers").state == "completed", "the second was done")

    for name in ("flowers", "more-flowers"):
        [trial] = server.client.all_trials(name)
        assert trial.state == "complete", trial.error
        assert server.client.checkpoints(name, 0).items
        assert server.client.diagnosis(name, 0)
    assert token not in worker.output
