"""docs/from-the-notes.md shows every row of the course by a command; all of them are run here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.processes import LONG_DEADLINE_S, ServerProcess, WorkerProcess, clean_environment
from tests.system.readme import ROOT, blocks

DOCUMENT = (ROOT / "docs/from-the-notes.md").read_text(encoding="utf-8")
ROWS = {*range(1, 14), 18, 19, 20, *range(22, 29)}


def rows(pattern: str) -> set[int]:
    return {int(number) for line in re.findall(pattern, DOCUMENT, re.MULTILINE) for number in re.findall(r"\d+", line)}


def test_each_row_has_its_line_its_file_and_its_command() -> None:
    assert rows(r"^\| (\d+) \|") == ROWS
    assert rows(r"^(\d+\.(?: and \d+\.)?)") == ROWS
    named = set(re.findall(r"`([a-z_/]+\.py)`", DOCUMENT.partition("## The commands")[0].partition("| # |")[2]))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / "trainer" / name).exists()} == set()
    studies = set(re.findall(r"^try ([a-z0-9-]+)$", DOCUMENT, re.MULTILINE))
    assert studies == {path.stem for path in (ROOT / "examples/notes").glob("*.json")}


def test_every_command_of_the_document_works(
    tmp_path: Path, server_process: Callable[..., ServerProcess], worker_process: Callable[..., WorkerProcess]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run([sys.executable, ROOT / "examples/notes/data.py", data], check=True, env=clean_environment())
    server = server_process()
    worker_process(server.url, "--slots", "2", "--data", str(data))
    script = "\n".join(blocks(DOCUMENT)).replace("/tmp/notes-data", str(data))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=clean_environment() | {"STURGEON_SERVER": server.url, "PATH": path},
        capture_output=True,
        text=True,
        timeout=LONG_DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert re.search(r'"gradient_norm_1":\d', done.stdout)
    assert re.search(r'"plateau_epochs":\d', done.stdout)
    assert '{"tag":"smudged","count":1' in done.stdout
