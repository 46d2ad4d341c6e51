"""The row of a trial that was not handed out yet."""

from __future__ import annotations

from server.store.json_columns import Json
from server.store.studies import StudyRow
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import OWN_KINDS
from sturgeon.search.samplers import trial_seed


def replicate_group(study: StudyRow, number: TrialNumber, start: int) -> dict[str, int]:
    """The column that names the first of the trials with the same parameters; empty without replicates. The study's
    trials from `start` on are drawn together."""
    return {"group_number": number - (number - start) % study.replicates} if study.replicates > 1 else {}


def new_trial(study: StudyRow, number: TrialNumber, params: Json, point: tuple[float, ...], now: int) -> Json:
    """The row of a queued trial with these parameters, as a person gives them; a sampler adds how it drew them."""
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
        "unstackable": study.task_kind in OWN_KINDS,  # each trial of own code has a process to itself
        "worker": None,
        "leased_to": None,
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
