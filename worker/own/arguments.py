"""What the placeholders in a program's arguments can name beside the parameters."""

from __future__ import annotations

from collections.abc import Mapping

from worker.child.protocol import Job


def values_for(job: Job, environment: Mapping[str, str]) -> dict[str, object]:
    """The value of each."""
    return {
        "trial.number": job.number,
        "trial.seed": job.seed,
        "checkpoint": environment.get("STURGEON_CHECKPOINT", ""),
        "params_file": environment.get("STURGEON_PARAMS_FILE", ""),
    }
