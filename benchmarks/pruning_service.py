"""One study of the pruning benchmark through the service and a worker: how late a stop comes, and what that costs.

    python -m benchmarks.pruning_service [--slots 2] [--seed 0]

The trials and their seeds are those of `python -m benchmarks.pruning`, so a worker trains the same curves. Prints how
long after a report that led to a stop the worker went on, and the share of the epochs that were trained.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.pruning_curves import SPACES, TASKS
from sturgeon.cli.processes import Processes
from sturgeon.client import Client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--rule", default="curve")
    parser.add_argument("--space", choices=SPACES, default="wide")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sturgeon-bench-") as folder, Processes(Path(folder)) as processes:
        address = processes.start_server()
        processes.start("worker", "worker", "--server", address, "--slots", str(arguments.slots), "--name", "bench")
        with Client(address) as client:
            client.create_study(
                {
                    "name": "bench",
                    "metric": "dev_error",
                    "space": SPACES[arguments.space].model_dump(mode="json", exclude_none=True),
                    "search": {"sampler": "random", "seed": arguments.seed},
                    "pruning": {"rule": arguments.rule},
                    "budget": {"max_trials": arguments.trials},
                    "task": TASKS[arguments.space].model_dump(mode="json"),
                }
            )
            while client.study("bench").state != "completed":
                time.sleep(0.2)
            _tell(client, arguments.trials * TASKS[arguments.space].epochs)


def _tell(client: Client, whole: int) -> None:
    study = client.study("bench")
    late_epochs, late_s = [], []
    for event in client.events("bench", page_size=1000).items:
        if event.kind == "stop" and event.number is not None:
            curve = client.trial_metrics("bench", event.number).items
            seconds = {one.epoch: one.metrics["seconds"] or 0.0 for one in curve}
            looked, last = float(event.detail["epoch"]), max(one.epoch or 0.0 for one in curve)
            late_epochs.append(last - looked)
            late_s.append(seconds[last] - seconds[looked])
    print(f"{dict(study.counts)}; {study.spent.epochs / whole:.1%} of the epochs")
    if late_s:
        print(f"a stop was obeyed {median(late_epochs):g} epochs, {median(late_s):.3f} s after its epoch (medians)")
    if study.best is not None:
        print(f"the winner is trial {study.best.number}, dev error {study.best.value:.2%}")


if __name__ == "__main__":
    main()
