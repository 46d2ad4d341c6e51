"""How a trial ends, or goes back to the queue: what reports, tells, expiry and people have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from server.services.runs import desired_state, pruning
from server.services.runs.curve import present_run_reports
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, trials
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.direction import best_value
from sturgeon.states import TrialState


class Outcome(NamedTuple):
    """The state that a trial ends in, and the columns that say how."""

    state: TrialState
    columns: Json


def finish(scope: Scope, row: TrialRow, outcome: Outcome, *, raise_fence: bool = False) -> TrialRow:
    """Write the end of a trial: from now on samplers see its result. The rows of the study and the trial are locked.

    raise_fence: refuse whatever the holder of the trial's lease, if there is one, still sends.
    """
    state, columns = outcome
    if state == "pruned":
        columns = columns | {"predicted_value": pruning.predict_value(scope.tx, scope.study, row, columns.get("value"))}
    end = {"left_seq": study_rows.next_seq(scope.tx, scope.study.id), "finished_at": scope.now}
    return _ended(scope, trials.transition(scope.tx, row, state, raise_fence=raise_fence, **columns, **end))


def finish_all(scope: Scope, ends: Sequence[tuple[TrialRow, Outcome]]) -> list[TrialRow]:
    """As `finish`, of different trials, none of them pruned, in the order in which samplers are to see them end. Those
    that come to the same state are written together."""
    first = study_rows.take_seqs(scope.tx, scope.study.id, len(ends))
    moves: dict[TrialState, list[tuple[TrialRow, Json]]] = {}
    for seq, (row, (state, columns)) in enumerate(ends, first):
        moves.setdefault(state, []).append((row, columns | {"left_seq": seq, "finished_at": scope.now}))
    ended = {row.id: row for state, moved in moves.items() for row in trials.transition_all(scope.tx, state, moved)}
    return [_ended(scope, ended[row.id]) for row, _ in ends]


def _ended(scope: Scope, row: TrialRow) -> TrialRow:
    desired_state.close_timeline(scope.tx, row)
    if row.state == "failed":
        reason = (row.error or "").strip().splitlines()
        detail = {"attempts": row.attempt, "reason": reason[-1][:500] if reason else ""}
        events.insert(scope.tx, scope.study.id, "failed", scope.now, row.number, **detail)
    scope.tx.after_commit(scope.counters.finished_trials.labels(row.state).inc)
    return row


def cancel(scope: Scope, row: TrialRow) -> TrialRow:
    """Cancel at once, even if a worker holds the trial. The rows of the study and the trial are locked."""
    return finish(scope, row, Outcome("cancelled", {"lease_until": None}), raise_fence=True)


def state_after_return(row: TrialRow) -> Literal["queued", "paused"]:
    """The state of a trial whose run has ended before the trial did: paused where a pause was requested."""
    return "paused" if desired_of(row).run == "pause" else "queued"


def outcome_of_stopped(tx: Transaction, study: StudyRow, row: TrialRow) -> Outcome | None:
    """How a trial ends whose worker is gone; None unless the trial was to stop.

    Its result is its last report: it is pruned where pruning stopped it, else complete. A trial that has reported no
    value is cancelled.
    """
    desired = desired_of(row)
    if desired.run != "stop":
        return None
    curve = present_run_reports(tx, study, row)
    value = reduced_value(study, [report.metrics.get(study.metric) for report in curve])
    last = {"metrics": curve[-1].metrics, "step": curve[-1].step} if curve else {"metrics": {}, "step": None}
    state: TrialState = "pruned" if desired.why == "pruned" else "cancelled" if value is None else "complete"
    return Outcome(state, last | {"value": value, "lease_until": None})


def reduced_value(study: StudyRow, scores: Sequence[float | None]) -> float | None:
    """A trial's value, from the study's metric in its reports and its tell, in this order."""
    if study.reduce == "last":
        return scores[-1] if scores else None
    return best_value((score for score in scores if score is not None), study.direction)
