"""The row of a trial that nobody has taken yet."""

from __future__ import annotations

from typing import Any

from server.store.studies import StudyRow
from sturgeon.search.samplers import trial_seed


def replicate_group(study: StudyRow, number: int, start: int) -> dict[str, int]:
    """Of trials that are drawn from `start` on: which one is the first of those with the same parameters."""
    return {"group_number": number - (number - start) % study.replicates} if study.replicates > 1 else {}


def new_trial(
    study: StudyRow, number: int, params: dict[str, Any], point: tuple[float, ...], now: int
) -> dict[str, Any]:
    """The row of a trial that waits to be handed out, with parameters that a person gave."""
    return {
        "study_id": study.id,
        "number": number,
        "state": "queued",
        "mode": study.mode,
        "params": params,
        "point": list(point),
        "seed": trial_seed(study.seed, number),
        "attempt": 0,
        "fence": 0,
        "lease_us": None,
        "lease_until": None,
        "reported": False,
        "unstackable": False,
        "worker": None,
        "metrics": {},
        "sampler": None,
        "basis_seq": study.seq,
        "revision": study.revision,
        "drawn": {},
        "group_number": None,
        "numerics": None,
        "created_at": now,
        "started_at": None,
    }
