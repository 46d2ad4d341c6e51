"""Samplers against each other: `python -m benchmarks.search`, in an environment with requirements-search.txt.

Prints a table and writes benchmarks/results/search.json. nq is -log10 of the share of uniform random points that are
at least as good as the found one (2: top 1 %; +1: worth ten times as many random trials); regret the share of the gap
between the median random point and the optimum that is left; wins the problems whose mean nq is above TPE's. The
found one is the trial with the best observed score, judged without noise.
"""

from __future__ import annotations

import argparse
import heapq
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from multiprocessing import get_context
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.results_file import add_write_option, write_results
from benchmarks.search_problems import Problem, suite
from benchmarks.search_samplers import ARMS, SLOW, Arm

CHECKPOINTS = (20, 30, 45, 60, 100)
FEW = ("branin", "hartmann6+2 idle", "bbob8-5d", "svm wine")
PROBLEMS: dict[str, Problem] = {}


class Task(NamedTuple):
    problem: str
    arm: str
    flight: int
    seed: int
    trials: int


class Run(NamedTuple):
    """Of one search: nq and regret after each checkpoint, and the milliseconds of each ask."""

    task: Task
    nq: dict[int, float]
    regret: dict[int, float]
    asks_ms: list[float]


def run(task: Task) -> Run:
    """One search with `flight` trials at once, each as long as chance says; then the best so far is judged."""
    problem = PROBLEMS[task.problem]
    arm = ARMS[task.arm](problem.space, task.seed)
    clock = np.random.default_rng([task.seed, 1])
    noise = np.random.default_rng([task.seed, 2]).standard_normal(task.trials)
    running: list[tuple[float, int]] = []
    points: dict[int, tuple[float, ...]] = {}
    seen: list[tuple[float, float]] = []
    asks_ms: list[float] = []
    now = 0.0
    for number in range(task.trials + task.flight):
        if number >= task.flight:
            now, done = heapq.heappop(running)
            truth = float(problem.truth(np.array([points[done]]))[0])
            seen.append((truth + problem.noise * noise[done % len(noise)], truth))
            arm.tell(done, seen[-1][0])
        if number < task.trials:
            points[number], spent = _timed(arm, number)
            asks_ms.append(spent)
            heapq.heappush(running, (now + clock.uniform(0.5, 1.5), number))
        elif not running:
            break
    return _judged(task, problem, seen, asks_ms)


def _timed(arm: Arm, number: int) -> tuple[tuple[float, ...], float]:
    start = time.perf_counter()
    point = arm.ask(number)
    return point, 1000 * (time.perf_counter() - start)


def _judged(task: Task, problem: Problem, seen: Sequence[tuple[float, float]], asks_ms: list[float]) -> Run:
    best = [min(seen[: n + 1])[1] for n in range(len(seen))]
    at = [n for n in CHECKPOINTS if n <= len(best)]
    nq = {n: problem.quality(best[n - 1]) for n in at}
    return Run(task, nq, {n: problem.regret(best[n - 1]) for n in at}, asks_ms)


def tasks(arms: Sequence[str], flights: Sequence[int], seeds: Iterable[int], trials: int) -> list[Task]:
    found = []
    for seed in seeds:
        for arm in arms:
            slow = arm in SLOW
            for flight in flights:
                if slow and flight > 1:
                    continue
                names = [name for name in PROBLEMS if not slow or name in FEW]
                found += [Task(name, arm, flight, seed, min(trials, SLOW.get(arm, trials))) for name in names]
    return found


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row an arm and number in flight, means over problems of means over seeds."""
    groups: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for one in runs:
        groups[one.task.arm, one.task.flight].append(one)
    rows = []
    for (arm, flight), own in groups.items():
        last = max(own[0].nq)
        row: dict[str, Any] = {"arm": arm, "in_flight": flight, "problems": len({r.task.problem for r in own})}
        row["nq"] = {n: _mean_of_problems(own, n, "nq") for n in own[0].nq}
        row["regret"] = _mean_of_problems(own, last, "regret")
        row["wins"] = _wins(own, groups.get(("tpe", flight), []), last)
        late = [ms for r in own for ms in r.asks_ms[last // 2 :]]
        row["ms_median"], row["ms_mean"] = float(np.median(late)), float(np.mean(late))
        rows.append(row)
    return sorted(rows, key=lambda row: (row["in_flight"], max(row["nq"].values())))


def by_problem(runs: Sequence[Run], n: int, field: str) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for one in runs:
        values[one.task.problem].append(getattr(one, field)[n])
    return {name: float(np.mean(own)) for name, own in values.items()}


def _mean_of_problems(runs: Sequence[Run], n: int, field: str) -> float:
    return float(np.mean(list(by_problem(runs, n, field).values())))


def _wins(own: Sequence[Run], peer: Sequence[Run], n: int) -> int | None:
    if not peer or n not in peer[0].nq:
        return None
    mine, theirs = by_problem(own, n, "nq"), by_problem(peer, n, "nq")
    return sum(mine[name] > theirs[name] for name in mine)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    heads = " ".join(f"nq@{n:<4}" for n in CHECKPOINTS)
    print(
        f"{'sampler':<8} {'flight':>6} {'problems':>8}  {heads} {'regret':>7} {'wins':>5} {'ms median':>9} {'mean':>7}"
    )
    for row in rows:
        nq = " ".join(f"{row['nq'][n]:<7.2f}" if n in row["nq"] else " " * 7 for n in CHECKPOINTS)
        wins = "-" if row["wins"] is None or row["arm"] == "tpe" else row["wins"]
        ms = f"{row['ms_median']:>9.2f} {row['ms_mean']:>7.2f}"
        print(f"{row['arm']:<8} {row['in_flight']:>6} {row['problems']:>8}  {nq} {row['regret']:>7.1%} {wins:>5} {ms}")


def print_problems(runs: Sequence[Run], flight: int, n: int) -> None:
    arms = [arm for arm in ARMS if any(r.task.arm == arm and r.task.flight == flight and n in r.nq for r in runs)]
    print(f"\nnq at {n} trials, {flight} in flight\n{'problem':<22} " + " ".join(f"{arm:>7}" for arm in arms))
    for name in PROBLEMS:
        own = {arm: [r.nq[n] for r in runs if r.task[:3] == (name, arm, flight) and n in r.nq] for arm in arms}
        print(f"{name:<22} " + " ".join(f"{np.mean(v):>7.2f}" if v else " " * 7 for v in own.values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--flights", nargs="*", type=int, default=[1, 16])
    parser.add_argument("--problems", default="", help="only those whose name has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    add_write_option(parser, "search")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    for problem in suite():
        if asked.problems in problem.name:
            problem.measure()
            PROBLEMS[problem.name] = problem
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    todo = tasks(asked.arms, asked.flights, seeds, asked.trials)
    runs: list[Run] = []
    started = time.time()
    with get_context("fork").Pool(asked.jobs) as pool:  # fork: the children inherit the measured problems
        for one in pool.imap_unordered(run, todo):
            runs.append(one)
            if len(runs) % 100 == 0:
                print(f"{len(runs)} of {len(todo)} searches, {time.time() - started:.0f} s", flush=True)
    rows = summary(runs)
    for flight in asked.flights:
        print_problems(runs, flight, max(runs[0].nq))
    print()
    print_table(rows)
    if asked.write:
        write_results("search", figures(rows, runs, asked), sort_keys=True)


def figures(rows: list[dict[str, Any]], runs: Sequence[Run], asked: argparse.Namespace) -> dict[str, Any]:
    problems: dict[str, dict[str, dict[int, float]]] = defaultdict(dict)
    for arm, flight in {(r.task.arm, r.task.flight) for r in runs}:
        own = [r for r in runs if r.task.arm == arm and r.task.flight == flight]
        for n in own[0].nq:
            for name, value in by_problem(own, n, "nq").items():
                problems[name].setdefault(f"{arm}/{flight}", {})[n] = round(value, 4)
    return {
        "command": "python -m benchmarks.search",
        "seeds": asked.seeds,
        "first_seed": asked.first_seed,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "table": rows,
        "nq_by_problem": problems,
    }


if __name__ == "__main__":
    main()
