"""Loops compiled to machine code, for work in which NumPy would pass over the arrays ten times.

numba compiles them without `fastmath`: every operation is the one that is written, rounded as NumPy rounds it. So a
result is the same bit for bit on every processor, for one model and for many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import numba

P = ParamSpec("P")


def compiled(loop: Callable[P, None]) -> Callable[P, None]:
    """The loop as machine code. It is compiled at its first call for each dtype, and cached on disk for later
    processes.

    A division by zero gives an infinity, as in NumPy, and no exception.
    """
    try:
        made: Callable[P, None] = numba.njit(cache=True, nogil=True, error_model="numpy")(loop)
    except RuntimeError:  # no folder that may be written to, neither beside this file nor in the person's home
        made = numba.njit(nogil=True, error_model="numpy")(loop)
    return made
