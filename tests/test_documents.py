"""What the documents point to is there: other documents, their headings, and files of the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
HISTORY = "docs/decisions/0001-first-house.md"
"""It tells of files as they were."""
FOLDERS = "sturgeon|server|worker|trainer|migrations|tests|benchmarks|examples|docs|deploy"


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_each_link_of_a_document_leads_somewhere() -> None:
    links = [
        (document, link)
        for document, text in TEXTS.items()
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in link
    ]
    broken = []
    for document, link in links:
        file, _, part = link.partition("#")
        headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", TEXTS[document], re.MULTILINE)}
        if not ((ROOT / document).parent / file).exists() or (not file and part not in headings):
            broken.append((document, link))

    assert len(links) > 25
    assert broken == []


def test_each_file_of_ours_that_a_document_names_exists() -> None:
    named = [
        (document, file)
        for document, text in TEXTS.items()
        if document != HISTORY
        for file in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text)
    ]

    assert len(named) > 100
    assert [(document, file) for document, file in named if not (ROOT / file).exists()] == []
