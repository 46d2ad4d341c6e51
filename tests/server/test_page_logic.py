"""The pure parts of the pages' modules, run by Node.js where it is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "page_logic"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node.js is not here; the browser tests run the same modules.")
@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.test.mjs")), ids=lambda file: file.name)
def test_the_logic_of_a_module_is_as_its_own_tests_say(file: Path) -> None:
    assert NODE is not None
    run = subprocess.run([NODE, "--test", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
