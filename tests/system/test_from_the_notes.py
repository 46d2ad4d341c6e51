"""docs/from-the-notes.md shows every row of the course by a command; all of them are run here."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.processes import ServerProcess, WorkerProcess, clean_environment
from tests.system.readme import ROOT, blocks, run

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
    printed = run(script, ROOT, STURGEON_SERVER=server.url)

    assert re.search(r'"gradient_norm_1":\d', printed)
    assert re.search(r'"plateau_epochs":\d', printed)
    assert '{"tag":"smudged","count":1' in printed
