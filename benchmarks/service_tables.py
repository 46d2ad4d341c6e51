"""The tables of benchmarks/service.py, as Markdown, and their place in docs/speed.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.results_file import write_between

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN: Final = "<!-- figures of `make bench-service` -->"
END: Final = "<!-- figures end -->"
NAMES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}

Arms = dict[tuple[str, str, str, int], dict[str, Any]]


def tables(results: dict[str, Any]) -> str:
    """All tables of one run."""
    arms = {(arm["system"], arm["work"], arm["database"], arm["clients"]): arm for arm in results["arms"]}
    parts = [_run(results), _trials(arms), _other_work(arms), _cpu(arms), _targets(arms)]
    return "\n\n".join(part for part in parts if part)


def write_tables(results: dict[str, Any], document: Path = DOCUMENT) -> None:
    """Put the tables between the two marks of the document."""
    write_between(document, BEGIN, END, tables(results))


def _run(results: dict[str, Any]) -> str:
    machine = results["machine"]
    return (
        f"{results['rounds']} rounds of {results['seconds_a_round']:g} s an arm, {results['took_s'] / 60:.1f} minutes "
        f"in all, on {machine['cores']} cores, of which other programs took {results['others_cores']:.2f}. "
        f"Python {machine['python']}, SQLite {machine['sqlite']}, PostgreSQL {machine['postgres']}, "
        f"Optuna {machine['optuna']}."
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    listed = [list(row) for row in rows]
    if not listed:
        return ""
    heads = list(heads)
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *listed])


def _rate(arm: dict[str, Any] | None) -> str:
    if arm is None:
        return ""
    failed = f", {arm['errors']} errors" if arm["errors"] else ""
    return f"**{arm['per_s']:.0f}** ({arm['lowest_per_s']:.0f} to {arm['highest_per_s']:.0f}{failed})"


def _ratio(ours: dict[str, Any] | None, theirs: dict[str, Any] | None) -> float | None:
    """The median of the rounds' ratios: of two arms that ran soon after each other."""
    if ours is None or theirs is None:
        return None
    pairs = zip(ours["rounds"], theirs["rounds"], strict=True)
    return median(one["per_s"] / max(other["per_s"], 1e-9) for one, other in pairs)


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}x"


def _trials(arms: Arms) -> str:
    heads = ("trials a second", "clients", "ours, random", "Optuna's RDB, random", "ratio", "Optuna's journal file")
    heads += ("ours, coarse to fine", "Optuna's RDB, TPE", "ratio", "durable commits")
    places = sorted(
        {key[2:] for key in arms if key[0].startswith("optuna rdb")}, key=lambda one: (one[0] != "sqlite", one)
    )
    rows = []
    for database, clients in sorted(places, key=lambda place: (place[0] != "sqlite", place)):
        of = {(system, work): arms.get((system, work, database, clients)) for system, work, *_ in arms}
        ours, theirs = of.get(("sturgeon", "random")), of.get(("optuna rdb", "random"))
        fine, tpe = of.get(("sturgeon", "coarse_to_fine")), of.get(("optuna rdb", "TPE"))
        journal = arms.get(("optuna journal", "random", "sqlite", clients)) if database == "sqlite" else None
        commits = arms.get(("database", "commits", database, clients))
        random_part = (_rate(ours), _rate(theirs), _times(_ratio(ours, theirs)), _rate(journal))
        fine_part = (_rate(fine), _rate(tpe), _times(_ratio(fine, tpe)), _rate(commits))
        rows.append((NAMES[database], str(clients), *random_part, *fine_part))
    return _table(heads, rows)


def _other_work(arms: Arms) -> str:
    words = {
        "batches of 64": "trials in batches of 64",
        "reports of 20": "steps, 20 a report",
        "reports": "steps, 1 a report",
    }
    rows = [
        (NAMES[database], words[work], str(clients), _rate(arm), f"{arm['p50_ms']:.1f}, {arm['p99_ms']:.1f}")
        for (system, work, database, clients), arm in sorted(arms.items())
        if system == "sturgeon" and work in words
    ]
    return _table(("a second", "what", "clients", "ours", "ms of a round trip or two: p50, p99"), rows)


def _cpu(arms: Arms) -> str:
    rows = []
    for (system, work, database, clients), arm in sorted(arms.items()):
        if system == "database" or clients == 16:
            continue
        spent = arm["cpu_ms_a_call" if work.startswith(("reports", "batches")) else "cpu_ms"]
        per = "a report" if work.startswith("reports") else "64 trials" if work.startswith("batches") else "a trial"
        figures = (f"{spent[who]:.2f}" for who in ("server", "database", "clients"))
        rows.append((f"{system}, {work.replace('_', ' ')}", NAMES[database], str(clients), per, *figures))
    return _table(("CPU, ms", "database", "clients", "of", "server", "PostgreSQL", "clients"), rows)


def _targets(arms: Arms) -> str:
    """What was promised, what was found, and whether it holds."""
    rows: list[tuple[str, str, str, str, str]] = []

    def hold(what: str, on: str, found: float | None, least: float, unit: str = "") -> None:
        if found is not None:
            rows.append((what, on, f"{least:g}{unit} or more", f"{found:.3g}{unit}", _word(found >= least)))

    def spend(what: str, on: str, arm: dict[str, Any] | None, most: float, per: str) -> None:
        if arm is not None:
            found = arm[per]["server"]
            rows.append((what, on, f"{most:g} ms or less", f"{found:.2f} ms", _word(found <= most)))

    for database, name in NAMES.items():
        get: Callable[[str, str, int], Any] = lambda s, w, c, at=database: arms.get((s, w, at, c))  # noqa: E731
        for clients in (1, 4, 16):
            on = f"{name}, {clients} clients" if clients > 1 else f"{name}, 1 client"
            ours = get("sturgeon", "random", clients)
            journal = arms.get(("optuna journal", "random", "sqlite", clients))
            hold("random, to Optuna's RDB", on, _ratio(ours, get("optuna rdb", "random", clients)), 10, "x")
            hold("random, to Optuna's journal file", on, _ratio(ours, journal), 1, "x")
            fine, tpe = get("sturgeon", "coarse_to_fine", clients), get("optuna rdb", "TPE", clients)
            hold("coarse to fine, to TPE on Optuna's RDB", on, _ratio(fine, tpe), 6, "x")
        batches, twenty = get("sturgeon", "batches of 64", 4), get("sturgeon", "reports of 20", 4)
        hold("batches of 64, to Optuna's RDB", name, _ratio(batches, get("optuna rdb", "random", 4)), 100, "x")
        hold("batches of 64, trials a second", name, batches and batches["per_s"], 2000)
        hold("reports of 20 steps, steps a second", name, twenty and twenty["per_s"], 1500)
        fine = get("sturgeon", "coarse_to_fine at 1000 finished", 1)
        spend("server's CPU, ask and tell, random", name, get("sturgeon", "random", 1), 3, "cpu_ms")
        spend("server's CPU, ask and tell, coarse to fine at 1,000 finished", name, fine, 5, "cpu_ms")
        spend("server's CPU, a report", name, get("sturgeon", "reports", 1), 1.5, "cpu_ms_a_call")
    return _table(("target", "on", "promised", "found", "holds"), rows)


def _word(holds: bool) -> str:
    return "yes" if holds else "**no**"
