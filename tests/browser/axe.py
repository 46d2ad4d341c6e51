"""What axe-core finds wrong with a page for people who use a keyboard or a screen reader, or see badly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE: Final = ("serious", "critical")


def grave_faults(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Each serious or critical violation, with the first elements that it is about. `rules`: these alone."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']}: {one['help']}\n  " + "\n  ".join(node["html"][:200] for node in one["nodes"][:4])
        for one in found
        if one["impact"] in GRAVE
    ]
