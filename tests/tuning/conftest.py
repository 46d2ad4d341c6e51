"""A server for studies that this process opens by `sturgeon.study`; one kind of database is enough here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sturgeon
from server.settings import Settings
from tests.server.shared_servers import forget_all

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture(scope="session")
def lasting_server(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server that `server` is."""
    from tests.running import RunningServer

    folder = tmp_path_factory.mktemp("tuning")
    url = f"sqlite:///{shutil.copy(migrated_sqlite_file, folder / 'sturgeon.db')}"
    server = RunningServer(
        Settings(database_url=url, checkpoints=folder / "checkpoints", max_attempts=1, reap_every_s=600)
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(lasting_server: RunningServer) -> RunningServer:
    """A server without studies; a trial that fails is not tried again."""
    forget_all(lasting_server)
    return lasting_server


@pytest.fixture
def open_study(server: RunningServer) -> Iterator[Callable[..., sturgeon.Study]]:
    """Open the study `bowl` of four trials, or another one by other arguments."""
    opened: list[sturgeon.Study] = []

    def open_one(name: str = "bowl", **given: Any) -> sturgeon.Study:
        wanted = {"space": {"x": sturgeon.linear(-1, 1)}, "minimize": "loss", "trials": 4} | given
        study = sturgeon.study(name, server=server.url, search={"sampler": "random", "seed": 7}, **wanted)
        opened.append(study)
        return study

    yield open_one
    for study in opened:
        study.close()


@pytest.fixture
def bowl(open_study: Callable[..., sturgeon.Study]) -> sturgeon.Study:
    """A new study of four trials that minimizes `loss`."""
    return open_study()
