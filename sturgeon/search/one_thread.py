"""The search computes with one thread in any process: its points are the same bit for bit on servers and in scripts.

A script of somebody else, such as one that trains with Optuna, keeps its threads for everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np  # noqa: F401 - both load their BLAS, so that the controller finds it
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def with_one_thread(compute: Callable[P, R]) -> Callable[P, R]:
    """`compute`, while whose calls run no BLAS of this process uses more than one thread."""

    @wraps(compute)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with _LIMIT.held():
            return compute(*args, **kwargs)

    return limited


class _Limit:
    """The number of threads belongs to the process: the first call that begins lowers it, the last that ends restores
    it. Calls may overlap in several threads."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._calls = 0
        self._lowered: list[tuple[Any, int]] = []

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._counting:
            if self._calls == 0:
                self._lower()
            self._calls += 1
        try:
            yield
        finally:
            with self._counting:
                self._calls -= 1
                if self._calls == 0:
                    for library, threads in self._lowered:
                        library.set_num_threads(threads)

    def _lower(self) -> None:
        counts = [(library, library.get_num_threads()) for library in _libraries()]
        self._lowered = [(library, threads) for library, threads in counts if threads != 1]
        for library, _ in self._lowered:
            library.set_num_threads(1)


@cache
def _libraries() -> list[Any]:
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


_LIMIT = _Limit()
