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
ROWS = {*range(1, 30)}
STUDIES = [*(ROOT / "examples/notes").glob("*.json"), *(ROOT / "server/dashboard/static/course").glob("*.json")]


def rows(pattern: str) -> set[int]:
    return {int(number) for line in re.findall(pattern, DOCUMENT, re.MULTILINE) for number in re.findall(r"\d+", line)}


def test_each_row_has_its_line_its_file_and_its_command() -> None:
    assert rows(r"^\| (\d+) \|") == ROWS
    assert rows(r"^(\d+\.(?: and \d+\.)?)") == ROWS
    named = set(re.findall(r"`([a-z_/]+\.py)`", DOCUMENT.partition("## The commands")[0].partition("| # |")[2]))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / "trainer" / name).exists()} == set()
    studies = set(re.findall(r"^(?:try |post studies @\S+/)([a-z0-9-]+)(?:\.json)?$", DOCUMENT, re.MULTILINE))
    assert studies == {path.stem for path in STUDIES}
    pictures = set(re.findall(r"^!\[.*\]\(images/course-([a-z-]+)\.png\)$", DOCUMENT, re.MULTILINE))
    assert pictures == set(re.findall(r"^draw ([a-z-]+) [a-z_]+$", DOCUMENT, re.MULTILINE))


def test_every_command_of_the_document_works(
    tmp_path: Path,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    forked_commands: str,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run([sys.executable, ROOT / "examples/notes/data.py", data], check=True, env=clean_environment())
    server = server_process()
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # own code is found from the worker's folder
    options = ["--allow-command", "python", "--allow-python", "trainer.two_stage"]
    worker_process(server.url, "--slots", "2", "--data", str(data), *options)
    script = "\n".join(blocks(DOCUMENT)).replace("/tmp/notes-data", str(data))
    printed = run(script, ROOT, STURGEON_SERVER=server.url, PATH=forked_commands)

    norms = [float(norm) for norm in re.findall(r'"gradient_norm_\d":([\d.e-]+)', printed)]
    assert norms[0] < norms[1] / 100
    assert norms[2] > norms[3] / 10
    for study in re.findall(r"^draw ([a-z-]+) ", DOCUMENT, re.MULTILINE):
        assert (data / f"{study}.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r'"plateau_epochs":\d', printed)
    assert '{"tag":"smudged","count":1' in printed
