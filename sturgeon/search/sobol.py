"""A scrambled Sobol sequence: even coverage of the cube, by (seed, number) alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sturgeon.search.cube import Cube
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, Point, RegisteredSampler, Sample, Sampler
from sturgeon.space import Space

LONGEST: Final = 2**20
"""After so many points the sequence starts again: going forward takes time in proportion, 10 ms to here."""


def sobol_point(seed: int, number: int, dimensions: int) -> Point:
    """Point `number` of the Sobol sequence scrambled by `seed` (Owen 1998): even in the cube from the first on."""
    from scipy.stats import qmc  # takes half a second, and only the first rounds of a study need it

    sequence = qmc.Sobol(dimensions, scramble=True, rng=seed)
    if number % LONGEST:  # SciPy cannot go forward by 0
        sequence.fast_forward(number % LONGEST)
    # One point a call: SciPy warns of more at once unless their number is a power of two.
    return tuple(sequence.random(1)[0].tolist())


def sobol_search(space: Space, seed: int, number: int, history: History) -> Sample:  # noqa: ARG001
    """Even coverage of the space, without looking at results."""
    return Sample(Cube(space).settled(sobol_point(seed, number, len(space.searched))))


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:  # noqa: ARG001
    return Sampler("sobol", 1, sobol_search, needs_history=False)


SAMPLER: Final = RegisteredSampler(build)
