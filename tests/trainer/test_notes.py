"""The table that leads from the course's ideas to the trainer's files."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_each_file_that_the_notes_table_names_is_there():
    rows = re.findall(r"^\| \d+ \|[^|]*\|([^|]*)\|", (REPOSITORY / "docs/from-the-notes.md").read_text(), re.MULTILINE)
    files = [file for row in rows for file in re.findall(r"`([^`]+\.py)`", row)]
    assert len(files) > 20
    assert [file for file in files if not (REPOSITORY / "trainer" / file).is_file()] == []
