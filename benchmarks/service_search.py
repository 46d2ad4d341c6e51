"""Coarse to fine against random search, through the HTTP service and its workers, on mnist_5k.

    make bench-service-search

For each seed two studies of the same space and budget, one with each sampler, with 8 trials in flight; the winner of
each is trained again with 5 fresh seeds on the same data. Prints a row a seed, and how many trials coarse to fine
needed to reach the median over the seeds of random's best; writes benchmarks/results/service_search.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.results_file import add_write_option, write_results
from sturgeon.cli.processes import Processes
from sturgeon.client import Client
from trainer.config import config_from
from trainer.data.preparation import prepare
from trainer.numerics import numerics
from trainer.training import train

IN_FLIGHT = 8
FRESH_SEEDS = range(1000, 1005)
SAMPLERS = ("random", "coarse_to_fine")
TASK = {"kind": "train", "dataset": "mnist_5k", "epochs": 10, "checkpoints": None}
SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "beta1": {"type": "float", "low": 0.5, "high": 0.999, "scale": "one_minus_log"},
    "hidden_units": {"type": "int", "low": 16, "high": 256, "scale": "log"},
    "hidden_layers": {"type": "int", "low": 1, "high": 3},
    "batch_size": {"type": "choice", "values": [32, 64, 128, 256, 512], "ordered": True},
    "keep_prob": {"type": "float", "low": 0.4, "high": 1.0},
    "activation": {"type": "choice", "values": ["relu", "tanh", "sigmoid"]},
    "l2": {"type": "float", "low": 1e-6, "high": 0.1, "scale": "log"},
}


def searched(client: Client, sampler: str, seed: int, trials: int) -> dict[str, Any]:
    """Runs one study to its end: its dev errors in the order of finishing, and its winner."""
    name = f"{sampler}-{seed}"
    client.create_study(
        {
            "name": name,
            "metric": "dev_error",
            "space": SPACE,
            "search": {"sampler": sampler, "seed": seed},
            "pruning": {"rule": "none"},
            "budget": {"max_trials": trials},
            "task": TASK,
        }
    )
    while client.study(name).state != "completed":
        time.sleep(0.2)
    finished = sorted(client.all_trials(name), key=lambda trial: str(trial.finished_at))
    best = client.best(name)
    assert best.recommended is not None
    return {
        "dev_errors": [1.0 if trial.value is None else trial.value for trial in finished],
        "winner": {"number": best.recommended.number, "dev_error": best.recommended.value}
        | {"params": best.recommended.params},
    }


def trained_again(params: dict[str, Any]) -> float:
    """Mean test error of fresh seeds, all in one stack."""
    task = {name: value for name, value in TASK.items() if name not in ("kind", "checkpoints")}
    config = config_from(task | params)
    run = train([config] * len(FRESH_SEEDS), prepare(config), list(FRESH_SEEDS))
    return statistics.mean(last.metrics["test_error"] for last in run if last.ended)


def reached(dev_errors: list[float], target: float) -> int | None:
    """How many finished trials it took to reach the target; None: it was not reached."""
    bests = list(accumulate(dev_errors, min))
    return next((count for count, best in enumerate(bests, 1) if best <= target), None)


def searches(seeds: int, trials: int) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="sturgeon-bench-") as folder, Processes(Path(folder)) as processes:
        address = processes.start_server()
        processes.start("worker", "worker", "--server", address, "--slots", str(IN_FLIGHT), "--name", "bench")
        with Client(address) as client:
            for seed in range(seeds):
                row = {sampler: searched(client, sampler, seed, trials) for sampler in SAMPLERS}
                rows.append(row)
                listed = ", ".join(f"{sampler} {min(found['dev_errors']):.2%}" for sampler, found in row.items())
                print(f"seed {seed}: best dev error {listed}", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    add_write_option(parser, "service_search")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    rows = searches(arguments.seeds, arguments.trials)
    with ProcessPoolExecutor() as pool:
        winners = [row[sampler]["winner"] for row in rows for sampler in SAMPLERS]
        for winner, error in zip(winners, pool.map(trained_again, [w["params"] for w in winners]), strict=True):
            winner["test_error"] = error
    results = judged(rows, arguments.trials) | {"trials": arguments.trials, "in_flight": IN_FLIGHT, "rows": rows}
    results |= {"seconds": time.perf_counter() - begin, "numerics": numerics()}
    if arguments.write:
        write_results("service_search", results, indent=2)
    return 0 if results["holds"] else 1


def judged(rows: list[dict[str, Any]], trials: int) -> dict[str, Any]:
    """Prints the table, and whether both claims hold."""
    target = statistics.median(min(row["random"]["dev_errors"]) for row in rows)
    print(f"\nrandom's median best of {trials}: dev error {target:.2%}; n: trials that coarse to fine needed for it\n")
    print("seed         n  test error of the winner, trained again: random  coarse to fine")
    counts, wins = [], 0
    for seed, row in enumerate(rows):
        count = reached(row["coarse_to_fine"]["dev_errors"], target)
        counts.append(trials + 1 if count is None else count)
        random, ours = (row[sampler]["winner"]["test_error"] for sampler in SAMPLERS)
        wins += ours < random
        print(f"{seed:4}  {count or 'never':>8}  {random:47.2%}  {ours:14.2%}")
    median = statistics.median(counts)
    needed = -(-7 * len(rows) // 10)
    holds = median <= trials / 2 and wins >= needed
    print(f"\nmedian {median:g} trials (at most {trials / 2:g})")
    print(f"the better winner in {wins} of {len(rows)} (at least {needed})")
    return {"target_dev_error": target, "median_trials": median, "wins": wins, "holds": holds}


if __name__ == "__main__":
    sys.exit(main())
