"""The guide to Python, block by block, as a reader would type it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningServer

GUIDE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_blocks_of_the_guide_run_one_after_the_other(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STURGEON_SERVER", server.url)
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"__name__": "guide"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{GUIDE.name}, block {number}", "exec"), names)
    names["study"].close()

    assert len(blocks) == 7
    assert server.client.study("mnist").state == "completed"
    assert server.client.study("mnist").counts["complete"] == 12
    assert "Trial " in capsys.readouterr().out


def test_help_shows_what_matters() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "import sturgeon; help(sturgeon)"], capture_output=True, text=True, check=True
    ).stdout

    for name in ("study(", "log(", "one_minus_log(", "choice(", "class Study", "class Client", "optimize("):
        assert name in shown, name


def test_an_import_brings_next_to_nothing() -> None:
    """What is heavy comes when it is first used."""
    heavy = {"httpx", "pydantic", "numpy", "rich"}
    script = f"import sys, sturgeon; sturgeon.log(1, 2); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
