"""How trials end: what all ends have in common, whoever writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from server.services.metrics import Counters
from server.services.runs import desired_state, pruning
from server.services.runs.curve import present_run_reports
from server.store import studies as study_rows
from server.store import trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow


def finish(tx: Transaction, counters: Counters, study: StudyRow, row: TrialRow, now: int, **values: Any) -> TrialRow:
    """Write the end of a trial: from here on samplers see it. The study's row is locked."""
    if values.get("state", row.state) == "pruned":
        values["guess"] = pruning.predict_value(tx, study, row)
    row = trials.update(tx, row.id, **values, left_seq=study_rows.next_seq(tx, study.id), finished_at=now)
    desired_state.close_timeline(tx, row)
    tx.after_commit(counters.finished_trials.labels(row.state).inc)
    return row


def state_after_return(row: TrialRow) -> Literal["queued", "paused"]:
    """The state of a trial whose run has ended and that is not done: one that was to pause waits for a person."""
    return "paused" if desired_state.desired_of(row).run == "pause" else "queued"


def outcome_of_stopped(tx: Transaction, study: StudyRow, row: TrialRow) -> dict[str, Any] | None:
    """How a trial ends whose worker is gone: None unless it was wished to stop.

    Its result is what it has reported last: pruned where pruning stopped it, else complete; without a value there is
    nothing to complete, and it is cancelled.
    """
    desired = desired_state.desired_of(row)
    if desired.run != "stop":
        return None
    curve = present_run_reports(tx, study, row)
    metrics = curve[-1].metrics if curve else {}
    value = reduced_value(study, [one.metrics.get(study.metric) for one in curve])
    state = "pruned" if desired.why == "pruned" else "cancelled" if value is None else "complete"
    told = {"metrics": metrics, "value": value, "step": curve[-1].step if curve else None}
    return {"state": state, "lease_until": None} | told


def reduced_value(study: StudyRow, scores: Sequence[float | None]) -> float | None:
    """A trial's value, from the study's metric in its reports and its tell, in this order."""
    if study.reduce == "last":
        return scores[-1] if scores else None
    found = [score for score in scores if score is not None]
    if not found:
        return None
    return min(found) if study.direction == "minimize" else max(found)
