"""`make help` tells all."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

ROOT = Path(__file__).parents[1]
TEXT: Final[dict[str, Any]] = {"capture_output": True, "text": True, "check": False}


def test_make_help_explains_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    explained = re.findall(r"^  ([a-z-]+) +\S", told, re.MULTILINE)
    assert sorted(explained) == sorted(targets[1].split())


def test_ci_runs_the_checks_the_tests_the_wheel_and_the_lowest_versions() -> None:
    run = (ROOT / ".ci" / "run").read_text().splitlines()

    assert [line for line in run if line.startswith("make ")] == [
        "make check",
        "make test",
        "make test-wheel",
        "make test-lowest",
    ]


@pytest.mark.fault("N")
@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": True}, "python3"),
        ({"python3": False, "python3.12": True}, "python3.12"),
        ({"python3": True, "python3.11": True}, "python3.11"),
        ({"python3": False}, None),
    ],
)
def test_any_python_that_is_new_enough_is_taken(tmp_path: Path, pythons: dict[str, bool], chosen: str | None) -> None:
    for name, new_enough in pythons.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {0 if new_enough else 1}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [shutil.which("make") or "make", "-n", "-f", ROOT / "Makefile", "demo"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        **TEXT,
    )
    if chosen:
        assert f"|| {chosen} -m venv" in done.stdout
    else:
        assert 'test -n ""' in done.stdout
        assert "Sturgeon needs Python 3.11 or newer" in done.stdout
