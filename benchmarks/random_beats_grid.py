"""What a grid loses where few parameters matter: `python -m benchmarks.random_beats_grid`.

Prints, for each sampler, the share of the gap between the median random point and the optimum that is left after 64
trials, a mean over seeds.
With --write it keeps them in benchmarks/results/random_beats_grid.json. Branin depends on two parameters; idle
ones are added to it, as a search space has them. The trainings are real ones, replayed from tables. Each seed moves the
ends of all ranges inwards by up to a quarter, as another person would have chosen them: on ranges as they are a grid
has one result, which may be luck.
"""

from __future__ import annotations

import argparse
import os
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.results_file import add_write_option, write_results
from benchmarks.search_problems import REFERENCE_OF_TABLES, Problem, branin, reals, space_of, tables
from benchmarks.search_samplers import Arm, Ours, coarse_to_fine
from sturgeon.search.coarse_to_fine import Options
from sturgeon.search.cube import Cube
from sturgeon.search.grid import grid_search
from sturgeon.search.random import random_search
from sturgeon.search.sobol import sobol_search
from sturgeon.space import Space

TRIALS: Final = 64
SAMPLERS: Final = ("grid", "random", "sobol", "coarse_to_fine")
LEAST_OF_BRANIN: Final = 0.397887


def arm(name: str, space: Space, seed: int) -> Arm:
    if name == "grid":
        return Ours(lambda number, _: grid_search(space, seed, number, TRIALS))
    if name == "random":
        return Ours(lambda number, history: random_search(space, seed, number, history))
    if name == "sobol":
        return Ours(lambda number, history: sobol_search(space, seed, number, history))
    return coarse_to_fine(Options())(space, seed)


def left_over(problem: Problem, sampler: str, seed: int) -> float:
    """The regret after one search, of ranges that the seed has chosen."""
    own, cube = arm(sampler, problem.space, seed), Cube(problem.space)
    inwards = 0.25 * np.random.default_rng([seed, 3]).random((2, cube.dimensions)) * ~cube.choice
    low, width = inwards[0], 1.0 - inwards.sum(axis=0)
    best = np.inf
    for number in range(TRIALS):
        score = float(problem.truth(cube.snap(low + width * np.array([own.ask(number)])))[0])
        own.tell(number, score)
        best = min(best, score)
    return problem.regret(best)


def problems() -> list[Problem]:
    idle = [
        Problem(
            f"branin, {count} idle" if count else "branin",
            space_of(reals(2 + count)),
            branin,
            samples=REFERENCE_OF_TABLES,
            least=LEAST_OF_BRANIN,
        )
        for count in (0, 1, 2, 4)
    ]
    return idle + tables()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    add_write_option(parser, "random_beats_grid")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    print(f"{'problem':<20} {'parameters':>10}  " + " ".join(f"{name:>14}" for name in SAMPLERS))
    rows: list[dict[str, Any]] = []
    for problem in problems():
        problem.measure()
        means = {name: float(np.mean([left_over(problem, name, seed) for seed in seeds])) for name in SAMPLERS}
        dimensions = len(problem.space.searched)
        rows.append({"problem": problem.name, "parameters": dimensions, "left": means})
        shown = " ".join(f"{value:>14.1%}" for value in means.values())
        print(f"{problem.name:<20} {dimensions:>10}  {shown}", flush=True)
    told = {"command": "python -m benchmarks.random_beats_grid", "trials": TRIALS, "seeds": len(seeds), "rows": rows}
    if arguments.write:
        write_results("random_beats_grid", told)


if __name__ == "__main__":
    main()
