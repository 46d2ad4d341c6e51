"""The numerics that the last bits of a number depend on: under the same ones the same points come out, bit for bit."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import scipy
import scipy.linalg  # brings SciPy's own BLAS, so that threadpoolctl sees it
from threadpoolctl import threadpool_info

_OF_BLAS: Final = ("internal_api", "version", "architecture", "num_threads")


class Numerics(NamedTuple):
    """`facts` in words, and their hash, which names them."""

    fingerprint: str
    facts: dict[str, object]


@cache
def numerics() -> Numerics:
    """Those of this process: numpy, scipy, each BLAS with the kernels that it chose for this machine and its threads,
    and the vector instructions that NumPy's own exp and log use."""
    blas = [{name: pool.get(name) for name in _OF_BLAS} for pool in threadpool_info() if pool["user_api"] == "blas"]
    facts: dict[str, object] = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": sorted(blas, key=lambda pool: json.dumps(pool, sort_keys=True)),
        "simd": _vector_instructions(),
    }
    text = json.dumps(facts, sort_keys=True)
    return Numerics(hashlib.sha256(text.encode()).hexdigest()[:16], facts)


def _vector_instructions() -> list[str]:
    config: Any = np.show_config(mode="dicts")
    return list(config["SIMD Extensions"].get("found", ()))
