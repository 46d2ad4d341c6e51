"""Networks in NumPy: each idea of the course in a file of its own name. Knows nothing of HTTP or trials."""

import numpy as _numpy  # noqa: F401 - its BLAS is loaded by now, and is limited
from threadpoolctl import threadpool_limits as _threadpool_limits

# Sums of one thread come out the same, bit for bit, in every process: a worker's, and one that replays what it trained.
_threadpool_limits(limits=1)
