"""The search is public: it draws without a server, and whoever only speaks to a server does not pay for it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

import sturgeon.search

ARRAYS = {"numpy", "scipy", "sklearn"}


PRINTED = """
import sys
print(*{name.split(".")[0] for name in sys.modules}, *{".".join(name.split(".")[:2]) for name in sys.modules})
"""


def imported_by(program: str) -> set[str]:
    """The packages that a fresh process has imported after `program`, with their first sub-packages."""
    command = [sys.executable, "-c", program + PRINTED]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split())


@pytest.mark.parametrize("module", ["sturgeon", "sturgeon.client", "sturgeon.messages", "sturgeon.search"])
def test_the_plain_client_imports_no_arrays(module: str) -> None:
    imported = imported_by(f"import {module}")

    assert "sturgeon" in imported
    assert not ARRAYS & imported


def test_the_command_line_starts_without_messages_and_tables() -> None:
    imported = imported_by("import sturgeon.cli.app")

    assert "sturgeon.cli" in imported
    assert not {"pydantic", "httpx", "rich", "yaml"} & imported


def test_a_sampler_imports_no_server() -> None:
    imported = imported_by("import sturgeon.search.registry, sturgeon.search.rounds, sturgeon.search.preview")

    assert imported >= {"numpy", "scipy", "sturgeon.search"}
    assert not {"server", "worker", "trainer", "sqlalchemy", "fastapi", "httpx"} & imported


def test_the_search_of_its_docstring_finds_the_optimum() -> None:
    """The example as it stands there, with a loss whose optimum is at a rate of 0.01."""
    documentation = sturgeon.search.__doc__ or ""
    blocks = [part for part in documentation.split("\n\n") if part.startswith("    ")]
    program = "\n".join(textwrap.dedent(block) for block in blocks)
    names: dict[str, Any] = {"loss": lambda rate: (rate / 0.01 - 1) ** 2 / (rate / 0.01 + 1) ** 2}

    exec(program, names)

    best = min(names["finished"], key=lambda trial: trial.score)
    assert len(names["finished"]) == 30
    assert names["space"].decode(best.point)["rate"] == pytest.approx(0.01, rel=0.1)
