"""What pruning saves, and what it costs: random search on mnist_5k under each rule, on the same trials.

    make bench-pruning

Trains 60 random trials of 30 epochs for each of 10 studies to their end, plays each study's run under each rule with 8
trials in flight, and retrains each rule's winners with 3 fresh seeds; in two spaces. Prints a table each, and writes
benchmarks/results/pruning.json. Trained curves stay in --folder: a run that was interrupted is taken up again.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

from benchmarks.pruning_curves import EPOCHS, curves, retrained
from benchmarks.pruning_replay import HEARD_AFTER_S, Replayed, replay
from benchmarks.results_file import add_write_option, write_results
from sturgeon.search.pruning import Settings
from trainer.numerics import numerics

COMPARED: Final = ("wide", "narrow")
RULES: Final = {
    "none": Settings("none", EPOCHS),
    "curve": Settings("curve", EPOCHS),
    "curve, power 0.75": Settings("curve", EPOCHS, power=0.75),
    "asha": Settings("asha", EPOCHS),
    "median": Settings("median", EPOCHS),
}
FRESH: Final = (1_000_001, 1_000_002, 1_000_003)
MOST_LOST: Final = 0.3
MOST_EPOCHS: Final = 0.4
"""What the default has to keep: points of test error lost to the full run's winner, share of its epochs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sturgeon-bench-pruning")
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--slots", type=int, default=8)
    add_write_option(parser, "pruning")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = {space: _compared(arguments, space) for space in COMPARED}
    holds = all(_holds(compared["rules"][1]) for compared in found.values())
    print(f"\ncurve loses at most {MOST_LOST} points for at most {MOST_EPOCHS:.0%} of the epochs: {holds}")
    settings = {name: value for name, value in vars(arguments).items() if name not in ("folder", "write")}
    about = {"epochs": EPOCHS, "heard_after_s": HEARD_AFTER_S, "numerics": numerics(), "holds": holds}
    if arguments.write:
        write_results("pruning", settings | about | found)
    return 0 if holds else 1


def _holds(row: dict[str, Any]) -> bool:
    return bool(row["lost_points"] <= MOST_LOST and row["epochs_share"] <= MOST_EPOCHS)


def _compared(arguments: argparse.Namespace, space: str) -> dict[str, Any]:
    """Each rule on the same trials of a space; prints the table."""
    runs: dict[str, list[dict[str, Any]]] = {rule: [] for rule in RULES}
    for seed in range(arguments.studies):
        trials = curves(arguments.folder, space, seed, arguments.trials)
        for rule in RULES:
            found = replay(RULES[rule], trials, arguments.slots)
            errors = retrained(arguments.folder, space, seed, found.winner, FRESH)
            runs[rule].append(_told(found, errors))
        epochs = ", ".join(f"{rule} {run[-1]['epochs']}" for rule, run in runs.items())
        print(f"{space}, study {seed}, epochs: {epochs}", flush=True)
    rows = [{"rule": rule} | _row(runs[rule], runs["none"]) for rule in RULES]
    _print(space, rows)
    return {"rules": rows, "studies": runs}


def _told(found: Replayed, errors: list[float]) -> dict[str, Any]:
    """What one study used, its winner, and how good that one is with fresh seeds."""
    return {
        "epochs": sum(found.epochs),
        "seconds": found.seconds,
        "complete": len(found.complete),
        "winner": found.winner,
        "dev_error": found.complete[found.winner],
        "test_error": mean(errors),
        "test_errors": errors,
    }


def _row(runs: list[dict[str, Any]], full: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the studies, beside those of the full runs of the same trials."""
    lost = [100 * (run["test_error"] - whole["test_error"]) for run, whole in zip(runs, full, strict=True)]
    return {
        "epochs_share": sum(run["epochs"] for run in runs) / sum(run["epochs"] for run in full),
        "seconds_share": sum(run["seconds"] for run in runs) / sum(run["seconds"] for run in full),
        "complete": mean(run["complete"] for run in runs),
        "same_winner": sum(run["winner"] == whole["winner"] for run, whole in zip(runs, full, strict=True)),
        "dev_error": mean(run["dev_error"] for run in runs),
        "test_error": mean(run["test_error"] for run in runs),
        "lost_points": mean(lost),
        "lost_points_error": stdev(lost) / len(lost) ** 0.5 if len(lost) > 1 else None,
    }


def _print(space: str, rows: list[dict[str, Any]]) -> None:
    print(f"\nspace {space}\n")
    print("| rule | epochs | seconds | complete | same winner | dev error | test error, retrained | points lost |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        error = "" if row["lost_points_error"] is None else f" ± {row['lost_points_error']:.2f}"
        print(
            f"| {row['rule']} | {row['epochs_share']:.1%} | {row['seconds_share']:.1%} | {row['complete']:.1f} "
            f"| {row['same_winner']} | {row['dev_error']:.2%} | {row['test_error']:.2%} "
            f"| {row['lost_points']:+.2f}{error} |"
        )


if __name__ == "__main__":
    sys.exit(main())
