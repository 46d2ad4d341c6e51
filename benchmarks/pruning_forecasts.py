"""How often the forecast of the pruning rule `curve` is wrong: which of the stopped trials would have fallen faster.

    python -m benchmarks.pruning_forecasts --studies 6 7

Trains the trials of these studies of `make bench-pruning` to their end (five minutes a study and space, unless --folder
has them), plays each study's run under the rule with 8 trials in flight, and looks at what the stopped trials came to.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.pruning_curves import EPOCHS, SPACES, Trained, curves
from benchmarks.pruning_replay import replay
from sturgeon.search.pruning import Settings

POWERS: Final = (0.25, 0.5, 0.75, 1.0)
TRIALS: Final = 60


class Stopped(NamedTuple):
    """How many trials were stopped; whose best error fell below the forecast at the end of their whole curves; and how
    many would have been better than the best complete trial of the run."""

    trials: int
    fell_faster: int
    would_have_won: int


def stopped(trials: Sequence[Trained], power: float) -> Stopped:
    """What the rule stops in a run of these trials."""
    run = replay(Settings("curve", EPOCHS, power=power), trials)
    ended = {word.trial for word in run.words if word.end == "pruned"}
    first = {word.trial: word.epoch for word in reversed(run.words) if word.stop and word.trial in ended}
    faster = won = 0
    for number, epoch in first.items():
        curve = trials[number].curve
        forecast = min(curve[:epoch]) * (epoch / EPOCHS) ** power
        faster += min(curve) < forecast
        won += min(curve) < run.complete[run.winner]
    return Stopped(len(first), faster, won)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sturgeon-bench-pruning")
    parser.add_argument("--studies", type=int, nargs="+", default=[6, 7])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| space | power | stopped | fell faster | would have won |")
    print("|---|---|---|---|---|")
    for space in SPACES:
        studies = [curves(arguments.folder, space, seed, TRIALS) for seed in arguments.studies]
        for power in POWERS:
            counts = [stopped(trials, power) for trials in studies]
            sums = Stopped(*(sum(column) for column in zip(*counts, strict=True)))
            print(f"| {space} | {power} | {sums.trials} | {sums.fell_faster} | {sums.would_have_won} |")


if __name__ == "__main__":
    main()
