"""Servers for workers, and what a test asks of a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from server.settings import Settings
from tests.running import RunningServer


@pytest.fixture
def server(migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server whose leases are short, so that heartbeats come often, and never run out: its clock stands still."""
    folder = tmp_path / "checkpoints"
    return serve(Settings(database_url=migrated_sqlite_url, checkpoints=folder, lease_s=0.6, max_attempts=1))
