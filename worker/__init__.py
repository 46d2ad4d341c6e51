"""The worker: leases trials, runs them in child processes, reports."""

from sturgeon.extras import require as _require

_require("local", "The worker")
