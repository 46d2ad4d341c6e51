"""The tests of the web page, in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.browser.chromium import MISSING, find_chromium
from tests.leftovers import MARK
from tests.processes import LONG_DEADLINE_S, die_with_parent

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(find_chromium() is None, reason=MISSING)
def test_the_page_works_in_a_browser() -> None:
    """All of tests/browser. Its output, with each failure, is this test's message."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "tests/browser"],
        cwd=ROOT,
        env=env | {MARK: uuid.uuid4().hex},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONG_DEADLINE_S,
        preexec_fn=die_with_parent(signal.SIGINT),
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
