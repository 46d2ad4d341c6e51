"""The table of benchmarks/scale.py, as Markdown, and its place in docs/speed.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benchmarks.results_file import write_between

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN: Final = "<!-- figures of `make bench-scale` -->"
END: Final = "<!-- figures of scale end -->"
NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
COLUMNS: Final = (
    "first ask", "ask", "tell", "best, the first", "best", "study, the first", "study", "page of trials",
    "importance",
)  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Milliseconds of wall time at the 99th percentile, and of the server's CPU time."""
    heads = ["database", "sampler", "trials", *COLUMNS, "memory"]
    rows = [heads, ["---"] * len(heads)]
    for kind, runs in results["trials"].items():
        for run in runs:
            cells = [_cell(run["requests"][column]) for column in COLUMNS]
            rows.append([NAMES[kind], run["sampler"], f"{run['size']:,}", *cells, f"{run['rss_mb']:.0f} MB"])
    lists = [
        f"{NAMES[kind]} with {run['studies']:,} studies: "
        + ", ".join(f"{name} {_cell(found)}" for name, found in run["requests"].items())
        + f" ms; {run['rss_mb']:.0f} MB."
        for kind, run in results["studies"].items()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *lists])


def _cell(found: dict[str, float]) -> str:
    return f"{found['p99_ms']:.0f} ({found['server_cpu_ms']:.1f})"


def write_table(results: dict[str, Any], document: Path = DOCUMENT) -> None:
    """Put the table between the two marks of the document."""
    write_between(document, BEGIN, END, table(results))
