"""Sums of one thread come out the same, bit for bit, in every process; those of several threads depend on their number.

So a program of ours calls `limit_programs` when it begins. What computes limits itself as well, since it may run in a
program of somebody else, in which the libraries are loaded already: see `sturgeon/search/one_thread.py` and
`trainer/__init__.py`.
"""

from __future__ import annotations

import os
from typing import Final

VARIABLES: Final = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""What numeric libraries read when they are loaded."""


def limit_programs() -> None:
    """Let the libraries that this process and its children load from now on begin no threads of their own.

    A person's own setting is replaced: another number of threads gives other bits.
    """
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
