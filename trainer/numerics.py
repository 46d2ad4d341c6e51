"""What decides the last bits of a result: the numeric libraries, and the kernel that BLAS chose for this machine."""

from __future__ import annotations

import importlib.metadata
from functools import cache

import numpy as np
from threadpoolctl import threadpool_info


@cache
def numerics() -> dict[str, str]:
    """numpy, scipy and BLAS with their versions, and BLAS's kernel and threads; equal dicts promise equal bits."""
    blas: dict[str, object] = next(
        (info for info in threadpool_info() if info["user_api"] == "blas" and "numpy" in info["filepath"]), {}
    )
    return {
        "numpy": np.__version__,
        "scipy": importlib.metadata.version("scipy"),
        "blas": f"{blas.get('internal_api', 'unknown')} {blas.get('version', '')}".strip(),
        "kernel": str(blas.get("architecture", "unknown")),
        "threads": str(blas.get("num_threads", "unknown")),
    }
