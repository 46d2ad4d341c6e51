"""How often the forecast of the pruning rule `curve` is wrong: which of the stopped trials would have fallen faster.

    python -m benchmarks.pruning_forecasts --studies 6 7 [--spaces demo]

Trains the trials of these studies to their end (on mnist_5k five minutes a study and space, of the demo ten seconds,
unless --folder has them), plays each study's run under the rule, and looks at what the stopped trials came to.
"Steady": with forecasts that fall like epoch^-power, however fast a trial has fallen.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.pruning_curves import SPACES, TASKS, Trained, curves
from benchmarks.pruning_replay import Replayed, earlier, replay
from sturgeon.search.pruning import Settings, forecast

POWERS: Final = (0.25, 0.5, 0.75)
TRIALS: Final = {"demo": 30}
SLOTS: Final = {"demo": 2}
"""Where they are not 60 trials with 8 in flight."""


class Stopped(NamedTuple):
    """What became of a run: epochs trained and those of all trials, how many trials were complete and stopped; whose
    best error fell below the forecast at the end of their whole curves; how many would have been better than the run's
    winner; whether the best of all trials was lost, and by how many points its error is better than the winner's."""

    epochs: int
    of: int
    complete: int
    stopped: int
    fell_faster: int
    would_have_won: int
    lost: int
    points: float


def stopped(settings: Settings, trials: Sequence[Trained], slots: int, *, steady: bool) -> Stopped:
    """What the rule stops in a run of these trials. A run obeys at the end of the next epoch."""
    run = replay(settings, trials, slots, heard_after_s=0.0, steady=steady)
    ended = {word.trial for word in run.words if word.end == "pruned"}
    first = {word.trial: word.epoch for word in reversed(run.words) if word.stop and word.trial in ended}
    faster = won = 0
    for number, epoch in first.items():
        curve = trials[number].curve
        then = None if steady else earlier(curve, epoch)
        faster += min(curve) < forecast(settings, epoch, min(curve[:epoch]), then)
        won += min(curve) < run.complete[run.winner]
    points = _points_lost(run, trials)
    return Stopped(
        sum(run.epochs),
        sum(len(trial.curve) for trial in trials),
        len(run.complete),
        len(first),
        faster,
        won,
        int(points > 0),
        points,
    )


def _points_lost(run: Replayed, trials: Sequence[Trained]) -> float:
    best = min(trial.value for trial in trials if trial.value is not None)
    return 100 * (run.complete[run.winner] - best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sturgeon-bench-pruning")
    parser.add_argument("--studies", type=int, nargs="+", default=[6, 7])
    parser.add_argument("--spaces", choices=SPACES, nargs="+", default=list(SPACES))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| space | power | epochs | complete | stopped | fell faster | would have won | best lost | points lost |")
    print("|---|---|---|---|---|---|---|---|---|")
    for space in arguments.spaces:
        studies = [curves(arguments.folder, space, seed, TRIALS.get(space, 60)) for seed in arguments.studies]
        for power, steady in [*((power, True) for power in POWERS), *((power, False) for power in POWERS[:2])]:
            settings = Settings("curve", TASKS[space].epochs, power=power)
            runs = [stopped(settings, trials, SLOTS.get(space, 8), steady=steady) for trials in studies]
            _print(space, f"{power}, steady" if steady else f"{power}", runs)


def _print(space: str, power: str, runs: Sequence[Stopped]) -> None:
    whole = Stopped(*(sum(column) for column in zip(*runs, strict=True)))
    print(
        f"| {space} | {power} | {whole.epochs / whole.of:.1%} | {whole.complete / len(runs):.1f} | {whole.stopped} "
        f"| {whole.fell_faster} | {whole.would_have_won} | {whole.lost} of {len(runs)} "
        f"| {whole.points / len(runs):.2f} |"
    )


if __name__ == "__main__":
    main()
