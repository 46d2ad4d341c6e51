"""The figures of a soak, for people: as lines, and as a table in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.results_file import write_between

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN: Final = "<!-- figures of `make soak` -->"
END: Final = "<!-- figures of the soak end -->"
NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
AMOUNTS: Final = {
    "requests of clients": "requests",
    "tries, with those sent again": "tries",
    "answers lost on the way": "answers_lost",
    "acknowledged writes": "acknowledged_writes",
    "late writes, all refused": "refused_late_writes",
    "longest time without an acknowledged write, whatever fault was on, s": "longest_pause_s",
    "reports in the database": "reports",
}
GROWTH: Final = {
    "memory of a server, MB": "servers_rss",
    "memory of a worker with its children, MB": "workers_rss",
    "descriptors of a server": "servers_descriptors",
    "descriptors of a worker": "workers_descriptors",
    "write-ahead log, MB": "wal",
    "database, MB": "database",
    "checkpoints, MB": "blobs",
    "logs of servers and workers, MB": "logs",
}

Results = Mapping[str, Any]


def table(results: Results) -> str:
    """A column for each kind of database. What grows has its value at the begin, amid and at the end."""
    rows: list[list[str]] = [["", *(NAMES[kind] for kind in results)], ["---"] * (1 + len(results))]

    def row(name: str, cells: list[str]) -> None:
        rows.append([name, *cells])

    runs = list(results.values())
    row("minutes, seed", [f"{run['minutes']:g}, {run['seed']}" for run in runs])
    row("**violations**", [f"**{len(run['violations'])}**" for run in runs])
    for name, key in AMOUNTS.items():
        row(name, [f"{run[key]:,}" for run in runs])
    for study in sorted({study for run in runs for study in run["reports_of"]}):
        row(f"· reports of {study}", [f"{run['reports_of'].get(study, 0):,}" for run in runs])
    row("answers of 5xx", [_listed(run["statuses_5xx"]) for run in runs])
    row("faults", [str(sum(run["faults"].values())) for run in runs])
    for kind in sorted({kind for run in runs for kind in run["faults"]}):
        row(f"· {kind}", [str(run["faults"].get(kind, "–")) for run in runs])
    for name, key in GROWTH.items():
        row(name, [" → ".join(_number(value) for value in run["growth"][key]) for run in runs])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def lines(results: Results) -> list[str]:
    """The table and each violation, for a terminal."""
    said = [f"{NAMES[kind]}: {promise}: {what}" for kind, run in results.items() for promise, what in run["violations"]]
    answers = [f"{NAMES[kind]}, answers by operation: {run['answers']}" for kind, run in results.items()]
    return [table(results), *answers, *said]


def write_table(results: Results, document: Path = DOCUMENT) -> None:
    """Put the table between the two marks of the document. Raises: ValueError (it has no such place)."""
    write_between(document, BEGIN, END, table(results))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(counts.items())) or "none"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:g}"
