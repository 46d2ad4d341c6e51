"""The README's shell blocks, to be run as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

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
