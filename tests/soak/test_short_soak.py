"""A short soak keeps every promise, and one that is broken off leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import leftovers
from tests.processes import DEADLINE_S, LONG_DEADLINE_S, Process

ROOT = Path(__file__).parents[2]
SOAK = (sys.executable, "-m", "tests.soak", "--seed", "1", "--database")


@pytest.mark.long
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_short_soak_keeps_every_promise(database: str) -> None:
    done = subprocess.run(
        [*SOAK, database, "--minutes", "0.5"], cwd=ROOT, capture_output=True, text=True, timeout=LONG_DEADLINE_S
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("VERDICT: every promise was kept\n")


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_soak_that_is_broken_off_leaves_no_process(how: signal.Signals, tmp_path: Path) -> None:
    word = f"broken off by {how.name} {tmp_path}"
    env = {leftovers.MARK: word, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    soak = Process([*SOAK, "both", "--minutes", "2"], ROOT, env, "soak")
    soak.log = tmp_path / "soak.log"
    soak.start()
    soak.wait_until(lambda: len([*tmp_path.glob("*/c*.history")]) == 3, "its clients had begun")

    os.kill(soak.pid, how)

    assert soak.wait(DEADLINE_S) != 0
    assert leftovers.left_behind(word) == []
    assert tempfile.gettempdir() != str(tmp_path)
    if how != signal.SIGKILL:
        assert [*tmp_path.glob("sturgeon-*")] == []
