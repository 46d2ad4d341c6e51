"""The trainer's speed beside scikit-learn, PyTorch (eager, fused Adam) and JAX (jit and scan), on one core.

    python -m benchmarks.trainer

Makes an environment of its own (--venv, kept for the next time), runs itself there pinned to one core with
one BLAS thread, and lets the contenders take turns, so that a busy neighbour slows all alike. Prints steps
per CPU second (models times steps for a stack; the median over the rounds), and with
--write keeps the figures in benchmarks/results/trainer.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.results_file import add_write_option, write_results

HERE = Path(__file__).parent
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# What the comparison is to show: (work, contender, peer, at least so many times as fast).
CLAIMS = [
    ("b", "alone", "scikit-learn", 2.5),
    ("b", "alone", "torch", 2.3),
    ("b", "stacked", "torch", 2.6),
    ("a", "stacked", "scikit-learn", 10),
    ("a", "stacked", "torch", 10),
    ("c", "alone", "torch", 1.1),
    ("d", "alone", "torch", 0.95),
    ("b+", "alone", "torch", 3),
]
SWEEP_CLAIM = 2.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "sturgeon-bench-trainer")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turn", type=float, default=0.3, help="CPU seconds of one contender's turn")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    add_write_option(parser, "trainer")
    arguments = parser.parse_args()
    if arguments.inside:
        compare(arguments.rounds, arguments.turn, arguments.write)
        return
    python = environment(arguments.venv)
    command = [str(python), "-m", "benchmarks.trainer", *sys.argv[1:], "--inside"]
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "JAX_PLATFORMS": "cpu"}
    sys.exit(subprocess.run(command, cwd=HERE.parent, env=os.environ | ONE_THREAD | flags, check=False).returncode)


def environment(folder: Path) -> Path:
    """The python of an environment with all contenders, made once for each content of the requirements file."""
    requirements = HERE / "requirements-trainer.txt"
    python, made = folder / "bin" / "python", folder / "requirements.txt"
    if not made.exists() or made.read_text() != requirements.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
        made.write_text(requirements.read_text())
    return python


def compare(rounds: int, turn: float, write: bool) -> None:
    """Runs everything on one core, prints the tables, and keeps the figures if it is to write them."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from benchmarks.trainer_peers import WORKS
    from benchmarks.trainer_sweep import sweep
    from trainer.numerics import numerics

    peak = sgemm_peak()
    speeds = {name: speeds_of(name, rounds, turn) for name in WORKS}
    swept = sweep()
    print(f"\nsgemm peak {peak / 1e9:.0f} GFLOP/s; steps per CPU second (share of the peak in matrix products)\n")
    contenders = ["scikit-learn", "torch", "jax", "alone", "stacked"]
    print(f"{'work':6}" + "".join(f"{name:>20}" for name in contenders))
    for name, found in speeds.items():
        cells = [
            f"{found[c]:,.0f} ({found[c] * WORKS[name].flops / peak:.0%})" if c in found else "-" for c in contenders
        ]
        print(f"{name:6}" + "".join(f"{cell:>20}" for cell in cells))
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in swept["cpu_seconds"].items())
    print(f"\nsweep of {swept['trials']} trials: {seconds}; {swept['share_stacked']:.0%} of ours ran in stacks")
    held = judged(speeds, swept)
    told = {"sgemm_peak": peak, "steps_per_cpu_second": speeds, "sweep": swept, "claims": held} | {
        "numerics": numerics(),
        "load": os.getloadavg(),
    }
    if write:
        write_results("trainer", told, indent=2)


def speeds_of(name: str, rounds: int, turn: float) -> dict[str, float]:
    """Median steps per CPU second of each contender for one work, in turns."""
    from benchmarks import trainer_peers as peers
    from trainer.stack import useful_models

    work = peers.WORKS[name]
    makers: dict[str, Callable[[], Any]] = {
        "torch": lambda: peers.torch_eager(work),
        "alone": lambda: peers.sturgeon(work, 1),
    }
    models = useful_models(work.config(), work.prepared())
    if models > 1:
        makers["stacked"] = lambda: peers.sturgeon(work, models)
    if not work.regularized:
        makers |= {"scikit-learn": lambda: peers.scikit_learn(work), "jax": lambda: peers.jax_scan(work)}
    epochs = {contender: make() for contender, make in makers.items()}
    for epoch in epochs.values():
        epoch()
    found: dict[str, list[float]] = {contender: [] for contender in epochs}
    for _ in range(rounds):
        for contender, epoch in epochs.items():
            begin, steps = time.process_time(), 0
            while time.process_time() - begin < turn:
                steps += epoch()
            found[contender].append(steps / (time.process_time() - begin))
    print(f"{name}: {models} models in a stack", flush=True)
    return {contender: statistics.median(rates) for contender, rates in found.items()}


def sgemm_peak(n: int = 1024) -> float:
    """Floating-point operations per CPU second of a large float32 product; the best of ten."""
    import numpy as np

    A = np.ones((n, n), np.float32)
    out = np.empty_like(A)
    best = 0.0
    for _ in range(10):
        begin = time.process_time()
        np.matmul(A, A, out=out)
        best = max(best, 2 * n**3 / (time.process_time() - begin))
    return best


def judged(speeds: dict[str, dict[str, float]], swept: dict[str, Any]) -> list[dict[str, Any]]:
    """Each claim with what was found, printed."""
    held = []
    for work, ours, peer, wanted in CLAIMS:
        if ours in speeds[work]:
            held.append(
                {"claim": f"{work} {ours} / {peer}", "wanted": wanted, "found": speeds[work][ours] / speeds[work][peer]}
            )
        else:
            held.append({"claim": f"{work} {ours} / {peer}", "wanted": wanted, "found": None})
    seconds = swept["cpu_seconds"]
    held += [
        {"claim": f"sweep / {peer}", "wanted": SWEEP_CLAIM, "found": seconds[peer] / seconds["sturgeon"]}
        for peer in ("scikit-learn", "torch")
    ]
    print()
    for row in held:
        found = row["found"]
        verdict = "not run" if found is None else f"{found:5.2f} {'holds' if found >= row['wanted'] else 'MISSED'}"
        print(f"{row['claim']:28} at least {row['wanted']:5.2f}: {verdict}")
    return held


if __name__ == "__main__":
    main()
