"""The shell blocks of the documents, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.processes import LONG_DEADLINE_S, STURGEON, clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def curl_walk() -> list[str]:
    """The blocks of the walk, from its mark to its end."""
    _, _, rest = README.partition("<!-- walk:")
    walk, found, _ = rest.partition("<!-- walk ends -->")
    assert found, "the README has lost the marks around its curl walk"
    return blocks(walk)


def block_with(words: str) -> str:
    """The one block that has these words."""
    [found] = [block for block in blocks(README) if words in block]
    return found


def run(script: str, folder: Path, **more: str) -> str:
    """What bash prints for a script, each command of which must succeed; `more` is added to its environment."""
    path = os.pathsep.join([more.pop("PATH", str(STURGEON.parent)), str(STURGEON.parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment() | {"PATH": path} | more,
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
