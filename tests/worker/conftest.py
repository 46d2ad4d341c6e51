"""Servers for workers, and what a test asks of a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def server(shared_server: Callable[..., RunningServer]) -> RunningServer:
    """A server whose leases are short, so that heartbeats come often, and never run out: its clock stands still."""
    return shared_server("of_workers", lease_s=0.6, max_attempts=1)
