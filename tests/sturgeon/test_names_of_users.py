"""A user's own server.py, worker.py, trainer.py and migrations.py, on PYTHONPATH too, get in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

NAMES: Final = ("server", "worker", "trainer", "migrations")
SCRIPT: Final = f"""
import sys
import {", ".join(NAMES)}
assert {{module.WHOSE for module in ({", ".join(NAMES)})}} == {{"the user's"}}
print('STURGEON {{"loss": %s}}' % float(sys.argv[1]))
"""
LIBRARY: Final = f"""
import sturgeon
import {", ".join(NAMES)}
print(sturgeon.Client.__name__, sturgeon.study.__name__, trainer.WHOSE, server.WHOSE)
"""
STURGEON: Final = str(Path(sys.executable).with_name("sturgeon"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder of the user."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text('WHOSE = "the user\'s"\n')
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "library.py").write_text(LIBRARY)
    return tmp_path


def run_in(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env: dict[str, Any] = os.environ | {"PYTHONPATH": "."}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize(
    "program", [[STURGEON], [sys.executable, "-m", "sturgeon"], [sys.executable, "-m", "sturgeon.cli"]]
)
def test_each_way_to_the_command_line_finds_our_packages(program: list[str], folder: Path) -> None:
    done = run_in(folder, *program, "migrate", "--database-url", "sqlite:///x.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The database is at revision ")


def test_a_script_that_imports_sturgeon_has_its_own_modules(folder: Path) -> None:
    done = run_in(folder, sys.executable, "library.py")
    assert (done.stdout, done.stderr) == ("Client study the user's the user's\n", "")


def test_tune_starts_our_server_and_worker_and_the_users_script(folder: Path) -> None:
    options = ("--space", "x=0..1", "--minimize", "loss", "--trials", "2")
    done = run_in(folder, STURGEON, "tune", *options, "--", sys.executable, "train.py", "{x}")
    assert done.returncode == 0, done.stderr
    assert f"{sys.executable} train.py " in done.stdout.split("2 of 2 trials done")[-1]
