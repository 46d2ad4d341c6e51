"""What a worker's daemon and the command line cost in processor time: `python -m benchmarks.worker`.

Prints, and with --write keeps in benchmarks/results/worker.json and in docs/speed.md: the processor time of the daemon
alone, with its heartbeat, for each trial of 20 quick epochs, without what its children train; that of a child beside
it; and that of commands from their start to their end. No time of a clock on the wall: other programs hardly change
these figures, though a busy machine raises them by up to a half.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from benchmarks.results_file import add_write_option, write_between, write_results
from sturgeon import Client
from sturgeon.cli.processes import Processes

TRIALS: Final = 40
WARM_UPS: Final = 3
TIMES: Final = 15
DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "speed.md"
BEGIN: Final = "<!-- figures of `make bench-worker` -->"
END: Final = "<!-- figures of bench-worker end -->"

SPACE: Final = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"}}
TASK: Final = {"kind": "train", "dataset": "iris", "epochs": 20, "fixed": {"hidden_units": 4, "batch_size": 128}}
PYTHON: Final = [sys.executable]
STURGEON: Final = [sys.executable, "-c", "from sturgeon.cli.__main__ import main; main()"]
COMMANDS: Final[dict[str, list[str]]] = {
    "python -c pass": [*PYTHON, "-c", "pass"],
    "python -c 'import typer'": [*PYTHON, "-c", "import typer"],
    "sturgeon --version": [*STURGEON, "--version"],
    "sturgeon --help": [*STURGEON, "--help"],
    "sturgeon study list": [*STURGEON, "study", "list"],
    "sturgeon study show": [*STURGEON, "study", "show", "none"],
    "sturgeon workers": [*STURGEON, "workers"],
}


def _study(client: Client, name: str, rule: str, trials: int) -> None:
    search = {"sampler": "random", "seed": 1}
    budget, pruning = {"max_trials": trials}, {"rule": rule}
    client.create_study(
        {"name": name, "metric": "dev_loss", "space": SPACE, "search": search, "budget": budget}
        | {"task": TASK, "pruning": pruning}
    )
    while client.study(name).state != "completed":
        time.sleep(0.2)


def _seconds(process: psutil.Process) -> tuple[float, float]:
    """The processor time of a process, and that of all its children that have ended."""
    used = process.cpu_times()
    return used.user + used.system, used.children_user + used.children_system


def measured_trials(client: Client, worker: psutil.Process) -> dict[str, dict[str, float]]:
    """Milliseconds a trial, by the rule of the study: of the daemon, and of each child from its fork to its end."""
    [forks] = [one for one in worker.children() if "forkserver" in " ".join(one.cmdline())]
    _study(client, "warm", "none", WARM_UPS)
    figures = {}
    for rule in ("none", "curve"):
        daemon, children = _seconds(worker)[0], _seconds(forks)[1]
        _study(client, rule, rule, TRIALS)
        used = {"daemon": _seconds(worker)[0] - daemon, "child": _seconds(forks)[1] - children}
        figures[rule] = {name: round(1000 * seconds / TRIALS, 1) for name, seconds in used.items()}
    return figures


def measured_commands(folder: Path, address: str) -> dict[str, dict[str, float]]:
    """Seconds of processor time of each command: the least and the median, taken in turns."""
    environment = os.environ | {"STURGEON_SERVER": address, "PYTHONDONTWRITEBYTECODE": "", "COLUMNS": "100"}
    used: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(TIMES + 1):
        for name, command in COMMANDS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    # The first time may compile.
    return {
        name: {"least": round(min(all_of[1:]), 3), "median": round(median(all_of[1:]), 3)}
        for name, all_of in used.items()
    }


def table(figures: dict[str, Any]) -> str:
    lines = ["| a trial of 20 epochs | the daemon | its child |", "| --- | --- | --- |"]
    for rule, used in figures["trials"].items():
        pruned = "without pruning" if rule == "none" else f"pruned by `{rule}`"
        lines.append(f"| {pruned} | **{used['daemon']} ms** | {used['child']} ms |")
    lines += ["", "| command | least | median |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | **{used['least']:.3f} s** | {used['median']:.3f} s |"
        for name, used in figures["commands"].items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_write_option(parser, "worker")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        address = processes.start_server()
        processes.start("worker", "worker", "--server", address, "--slots", "1")
        worker = psutil.Process(processes.running[-1][1].pid)
        with Client(address) as client:
            while not client.workers().items:
                time.sleep(0.1)
            trials = measured_trials(client, worker)
        commands = measured_commands(Path(place), address)
    figures = {"load": round(os.getloadavg()[0], 1), "trials": trials, "commands": commands}
    print(table(figures))
    if arguments.write:
        write_results("worker", figures)
        write_between(DOCUMENT, BEGIN, END, table(figures))


if __name__ == "__main__":
    main()
