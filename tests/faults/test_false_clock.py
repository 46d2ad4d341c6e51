"""A whole server, with its duties, whose clock is put forward and back while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sturgeon import Client
from tests.processes import ServerProcess, wait_until
from tests.server.studies import BOWL, DIGITS

ROOT = Path(__file__).parents[2]
HOUR = 3600


@pytest.mark.fault("L4")
def test_leases_keep_their_length_in_a_server_whose_clock_is_set(
    migrated_url: str, server_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    program = (sys.executable, "-m", "tests.faults.false_clock")
    often = {"STURGEON_REAP_EVERY_S": "0.1", "STURGEON_LEASE_S": "0.6", "STURGEON_DATABASE_URL": migrated_url}
    server = server_process(program=program, PYTHONPATH=str(ROOT), AHEAD=str(ahead), **often)

    def set_clock(to: int, direction: str) -> None:
        beside = tmp_path / "ahead.part"
        beside.write_text(str(to))
        beside.replace(ahead)  # at once: the server reads it at any moment
        wait_until(lambda: steps(direction) == 1, f"the step {direction} was noticed")

    with Client(server.url) as client, httpx.Client(base_url=server.url, trust_env=False) as http:

        def steps(direction: str) -> float:
            counter = f'sturgeon_clock_steps_total{{direction="{direction}"}} '
            return sum(float(line.split()[-1]) for line in http.get("/metrics").text.splitlines() if counter in line)

        client.create_study(BOWL)
        client.create_study(DIGITS)
        [lease] = client.ask("bowl", worker="ada", lease_s=600).leases
        set_clock(HOUR, "forward")
        assert client.trial("bowl", 0).state == "running", "its lease is ten minutes long"
        assert client.renew("ada", [{"study": "bowl", "number": 0, "fence": lease.fence}]).held

        client.lease("bob")
        set_clock(-HOUR, "back")
        wait_until(lambda: client.trial("digits", 0).state == "queued", "the lease ran out, and not in two hours")
        assert client.trial("bowl", 0).state == "running"
