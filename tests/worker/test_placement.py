"""Workers that are not alike share studies: each trains what it can, and none spoils what it cannot."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import structlog
from structlog.testing import CapturingLogger

from sturgeon.client import Client
from tests.processes import wait_until
from tests.running import RunningServer
from worker.child import process
from worker.child.protocol import DesiredRun, Finished, Job, Unable
from worker.daemon import Daemon
from worker.options import WorkerOptions
from worker.tasks import train

if TYPE_CHECKING:
    from server.settings import Settings

Start = Callable[..., None]
TASK: dict[str, Any] = {"kind": "train", "dataset": "npz:tiny.npz", "epochs": 2, "checkpoints": None}
STUDY: dict[str, Any] = {
    "name": "tiny",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"}},
    "search": {"sampler": "random", "seed": 7},
    "budget": {"max_trials": 8},
    "task": TASK,
}


@pytest.fixture
def server(request: pytest.FixtureRequest, server: RunningServer) -> RunningServer:
    """The server of the other tests of workers; of a test that asks for a kind of database, one on that."""
    if "database_kind" not in request.fixturenames:
        return server
    settings: Settings = request.getfixturevalue("settings")
    return cast(RunningServer, request.getfixturevalue("serve")(settings.model_copy(update={"lease_s": 0.6})))


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    process.start_fork_server()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the data set tiny.npz."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "tiny.npz", X=rng.normal(size=(60, 3)).astype(np.float32), y=np.arange(60) % 2)
    return tmp_path


@pytest.fixture
def start(server: RunningServer) -> Iterator[Start]:
    """Starts a worker of this name in this process."""
    daemons: list[tuple[Daemon, Client]] = []
    with ThreadPoolExecutor() as threads:

        def start(name: str, *folders: Path, **options: Any) -> None:
            client = Client(server.url)
            chosen = WorkerOptions(server.url, poll_s=0.2, data_dirs=folders, **options)
            log: Any = structlog.wrap_logger(CapturingLogger(), processors=[])
            daemons.append((Daemon(client, chosen, name, log), client))
            threads.submit(daemons[-1][0].run)

        yield start
        for daemon, _ in daemons:
            for _ in range(2):
                daemon.signalled(signal.SIGTERM, None)
    for _, client in daemons:
        client.close()


def finished_by(server: RunningServer, study: str) -> dict[str | None, str]:
    """Worker -> the states in which its trials ended."""
    trials = list(server.client.all_trials(study))
    return {
        name: " ".join(sorted({t.state for t in trials if t.worker == name})) for name in {t.worker for t in trials}
    }


@pytest.mark.usefixtures("database_kind")
def test_of_three_workers_one_without_the_data_no_trial_fails(server: RunningServer, start: Start, data: Path) -> None:
    server.client.create_study(STUDY)
    server.client.create_study(STUDY | {"name": "large", "needs": {"gpus": 1, "labels": ["a100"]}})
    start("without", labels=("a100",), gpus=0)
    wait_until(lambda: bool(server.client.study("tiny").unable), "it said what it lacks")
    waits_for = server.client.study("tiny").waits_for
    start("small", data, slots=2, labels=("cheap",), gpus=0)
    start("big", data, labels=("a100", "nvme"), gpus=1, slots=2)

    for study in ("tiny", "large"):
        wait_until(lambda name=study: server.client.study(name).state == "completed", "all was trained")  # type: ignore[misc]

    reason = "'tiny.npz' cannot be read: this worker was given no --data folder."
    assert waits_for == f"No worker can run it. without: {reason}"
    [one] = server.client.study("tiny").unable
    assert (one.worker, one.reason) == ("without", reason)
    assert finished_by(server, "large") == {"big": "complete"}
    assert finished_by(server, "tiny").keys() <= {"big", "small"}
    assert set(finished_by(server, "tiny").values()) == {"complete"}
    assert [trial.attempt for trial in server.client.all_trials("tiny")] == [0] * 8


@pytest.mark.parametrize(
    ("dataset", "end"),
    [
        ("npz:none.npz", Unable("'none.npz' is no file below the --data folders of this worker.")),
        ("csv:none.csv", Unable("'none.csv' is no file below the --data folders of this worker.")),
        ("stream:none", Unable("'stream:none' is no folder below the --data folders of this worker.")),
        ("npz:../none.npz", "the path leads out of them"),
        ("npz:text.npz", "is not an npz file"),
        ("csv:empty.csv", "empty.csv"),
    ],
)
def test_data_that_are_not_here_are_no_failure_of_the_trial(data: Path, dataset: str, end: Unable | str) -> None:
    (data / "text.npz").write_text("no archive")
    (data / "empty.csv").touch()
    job = Job(TASK | {"dataset": dataset}, {}, 0, (data,))

    *_, (_, last) = train.run([job], lambda _place: DesiredRun())

    if isinstance(end, Unable):
        assert last == end
    else:
        assert isinstance(last, Finished)
        assert (last.state, end in (last.error or "")) == ("failed", True)


def test_a_stack_without_its_data_is_given_back_whole(data: Path) -> None:
    jobs = [Job(TASK | {"dataset": "npz:none.npz"}, {}, seed, (data,)) for seed in range(2)]

    ends = list(train.run(jobs, lambda _place: DesiredRun()))

    assert [(place, type(end)) for place, end in ends] == [(0, Unable), (1, Unable)]
