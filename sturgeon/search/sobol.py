"""A scrambled Sobol sequence: even coverage of the cube, by (seed, number) alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sturgeon.search.cube import Array, Cube
from sturgeon.search.distinct import BATCH, Unseen, can_repeat, unseen_of
from sturgeon.search.memo import Memo
from sturgeon.search.samplers import History, Point, RegisteredSampler, Sample, Sampler, uniform_point
from sturgeon.space import Space

BITS: Final = 30
"""A point's coordinates are multiples of 2^-30, and the sequence has 2^30 points; then it starts again."""

MOST_SEARCHED: Final = 2**17
"""So many points of the sequence are looked at for those that satisfy constraints; then points are drawn by chance."""

Words = NDArray[np.uint32]


def sobol_point(seed: int, number: int, dimensions: int) -> Point:
    """Point `number` of the Sobol sequence scrambled by `seed`: even in the cube from the first on.

    It is, bit for bit, the point of `scipy.stats.qmc.Sobol(dimensions, rng=seed)`, which takes half a second to import
    and passes all points before this one.
    """
    shift, directions = _scrambled(seed, dimensions)
    position = number % 2**BITS
    gray = position ^ (position >> 1)  # neighbours in the sequence differ by one direction number
    chosen = [bit for bit in range(BITS) if gray >> bit & 1]
    words = shift ^ np.bitwise_xor.reduce(directions[:, chosen], axis=1)
    return tuple((words * 2.0**-BITS).tolist())


@lru_cache(maxsize=64)
def _scrambled(seed: int, dimensions: int) -> tuple[Words, Words]:
    """A digital shift [d], and direction numbers [d, 30] times random lower triangular matrices (Matousek 1998)."""
    rng = np.random.default_rng(seed).spawn(1)[0]  # as SciPy does with a seed
    powers = 2 ** np.arange(BITS, dtype=np.uint32)
    shift = rng.integers(0, 2, size=(dimensions, BITS), dtype=np.uint32) @ powers
    matrices = np.tril(rng.integers(0, 2, size=(dimensions, BITS, BITS), dtype=np.uint32))
    matrices[:, np.arange(BITS), np.arange(BITS)] = 1
    plain = np.array([_direction_numbers(dimension) for dimension in range(dimensions)], np.uint32)
    digits = plain[:, :, None] >> np.arange(BITS - 1, -1, -1, dtype=np.uint32) & 1
    scrambled = (digits @ matrices.transpose(0, 2, 1)) & 1  # [d, 30, 30], the highest digit first
    return shift, (scrambled @ powers[::-1]).astype(np.uint32)


@lru_cache(maxsize=1024)
def _direction_numbers(dimension: int) -> tuple[int, ...]:
    """The 30 of one dimension, counted from 0, by the recurrence of Joe and Kuo (2008)."""
    polynomials, first = _table()
    polynomial = int(polynomials[dimension])
    degree = polynomial.bit_length() - 1
    numbers = [int(number) for number in first[dimension, :degree]] or [1] * BITS
    for place in range(len(numbers), BITS):
        number = numbers[place - degree]
        for step in range(1, degree + 1):
            if polynomial >> (degree - step) & 1:
                number ^= numbers[place - step] << step
        numbers.append(number)
    return tuple(number << (BITS - 1 - place) for place, number in enumerate(numbers))


@cache
def _table() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The polynomials [21201] and the first direction numbers [21201, 18] of Joe and Kuo, from SciPy's file."""
    scipy = find_spec("scipy")
    assert scipy is not None
    assert scipy.submodule_search_locations is not None
    with np.load(Path(scipy.submodule_search_locations[0], "stats", "_sobol_direction_numbers.npz")) as table:
        return table["poly"], table["vinit"]


class _Satisfying:
    """The positions in the sequence whose points satisfy the constraints, found as far as they were asked for."""

    def __init__(self, cube: Cube, seed: int) -> None:
        self._cube, self._seed = cube, seed
        self._found: list[int] = []
        self._searched = 0
        self._lock = Lock()  # a memo may be shared by threads

    def position(self, number: int) -> int | None:
        """That of point `number` of those; None where it is too far away."""
        with self._lock:
            while len(self._found) <= number and self._searched < MOST_SEARCHED:
                start, self._searched = self._searched, self._searched + BATCH
                points = self._cube.snap(_sobol_points(self._seed, start, BATCH, self._cube.dimensions))
                self._found += (start + np.flatnonzero(self._cube.satisfied(points))).tolist()
            return self._found[number] if number < len(self._found) else None


def _sobol_points(seed: int, start: int, count: int, dimensions: int) -> Array:
    """`count` points of the sequence [count, d], from that at `start` on."""
    shift, directions = _scrambled(seed, dimensions)
    positions = np.arange(start, start + count, dtype=np.uint32)
    gray = positions ^ (positions >> np.uint32(1))
    words = np.repeat(shift[None], count, axis=0)
    for bit in range(BITS):
        words ^= (gray >> np.uint32(bit) & np.uint32(1))[:, None] * directions[:, bit]
    return np.asarray(words * 2.0**-BITS, dtype=np.float64)


def even_point(unseen: Unseen, seed: int, number: int, memo: Memo) -> Point:
    """Point `number` of the sequence, snapped, without those that break a constraint; where it was drawn before, the
    next one that was not. `memo` only saves work."""
    cube, position = unseen.cube, number
    if cube.space.constraints:
        satisfying = memo.recall("satisfying", (cube.identity, seed), lambda: _Satisfying(cube, seed))
        found = satisfying.position(number)
        if found is None:
            return unseen.instead(uniform_point(seed, number, cube.dimensions), seed, number)
        position = found
    point = cube.settled(sobol_point(seed, position, cube.dimensions))
    return unseen.instead(point, seed, number, _further(seed, position, cube.dimensions))


def _further(seed: int, number: int, dimensions: int) -> Iterator[Array]:
    """The next points of the sequence, one a batch."""
    for ahead in range(1, BATCH + 1):
        yield np.array([sobol_point(seed, number + ahead, dimensions)])


def sobol_search(space: Space, seed: int, number: int, history: History, *, memo: Memo | None = None) -> Sample:
    """Even coverage of the space, without looking at results. `memo` only saves work."""
    cube, memo = Cube(space), Memo() if memo is None else memo
    unseen = unseen_of(cube, history, memo) if can_repeat(space) else Unseen(cube)
    return Sample(even_point(unseen, seed, number, memo))


def build(options: Mapping[str, Any], memo: Memo) -> Sampler:  # noqa: ARG001
    def draw(space: Space, seed: int, number: int, history: History) -> Sample:
        return sobol_search(space, seed, number, history, memo=memo)

    return Sampler("sobol", 2, draw, needs_history=False, looks_back=can_repeat)


SAMPLER: Final = RegisteredSampler(build)
