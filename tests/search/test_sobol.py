"""Sobol points by their number alone are those of SciPy's sequence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from sturgeon.search.sobol import sobol_point
from tests.processes import DEADLINE_S


@pytest.mark.parametrize("dimensions", [1, 2, 4, 101])
def test_the_first_points_are_those_of_scipys_sequence(dimensions: int) -> None:
    whole = qmc.Sobol(dimensions, scramble=True, rng=11).random(64)
    assert np.array_equal(whole, [sobol_point(11, number, dimensions) for number in range(64)])


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**20), st.integers(1, 40))
def test_a_far_point_is_that_of_scipys_sequence(seed: int, number: int, dimensions: int) -> None:
    sequence = qmc.Sobol(dimensions, scramble=True, rng=seed)
    sequence.fast_forward(number)
    assert sobol_point(seed, number, dimensions) == tuple(sequence.random(1)[0].tolist())


def test_the_sequence_starts_again_after_its_last_point() -> None:
    assert sobol_point(3, 2**30 + 5, 2) == sobol_point(3, 5, 2)


def test_a_server_imports_no_scipy_stats() -> None:
    script = (
        "import sys, server.serving\nfrom sturgeon.search.sobol import sobol_point\n"
        "sobol_point(1, 2, 3)\nprint('scipy.stats' in sys.modules)"
    )
    imported = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=DEADLINE_S
    ).stdout
    assert imported == b"False\n"
