"""The figures of benchmarks/page.py in the tables of docs/page.md: each row is found by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "page.md"


def seconds(ms: float) -> str:
    """In seconds, with two digits that say something."""
    digits = 0 if ms >= 9_950 else 1 if ms >= 95 else 2
    return f"{ms / 1e3:.{digits}f} s"


def kilobytes(kb: float) -> str:
    """In kB, or in MB where there are many."""
    return f"{kb / 1e3:.1f} MB" if kb >= 1_000 else f"{kb:.1f} kB"


COMPARED: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "first picture with all 1,000 trials": ("first_picture_ms", seconds),
    "bytes to open the page": ("opening_kb", kilobytes),
    "main thread until it is open": ("opening_busy_ms", seconds),
    "heap after it": ("heap_mb", lambda mb: f"{mb:.0f} MB"),
    "bytes for each trial that finishes": ("update_kb", kilobytes),
    "main thread for each trial that finishes": ("update_busy_ms", seconds),
    "drawn after it is there": ("drawn_after_s", lambda s: seconds(1e3 * s)),
}
"""Rows of the table of both dashboards: the figure, and how it is written."""


def with_figures(text: str, results: Mapping[str, Any]) -> str:
    """The document with these figures in its rows."""
    rows: dict[str, tuple[str, ...]] = {}
    if both := results.get("compared"):
        for name, (figure, written) in COMPARED.items():
            rows[name] = tuple(written(both[one][figure]) for one in ("optuna-dashboard", "sturgeon"))
    for name, of in results.get("budgets", {}).items():
        rows[name] = (f"{of['promised_ms']:,.0f} ms", f"{of['ms']:,.0f} ms")
    for name, cells in rows.items():
        row = f"| {name} | {' | '.join(cells)} |"
        text, found = re.subn(rf"^\| {re.escape(name)} \|.*$", lambda _old, row=row: row, text, flags=re.MULTILINE)
        if found != 1:
            raise LookupError(f"{DOCUMENT} has {found} rows called {name!r}.")
    return text


def write_tables(results: Mapping[str, Any]) -> None:
    """Put the figures into the document. Raises: LookupError (a row is not there)."""
    DOCUMENT.write_text(with_figures(DOCUMENT.read_text(encoding="utf-8"), results), encoding="utf-8")
