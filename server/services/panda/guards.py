"""Guards: what they make of a report, or of the end of a run. A guard whose metric got worse takes its change back.

The verdict is pure (server/policies/guard.py); here it is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.policies import guard
from server.policies.curve import CurveReader
from server.services.panda.curve_marks import StoredPoints
from server.services.runs import desired_state
from server.services.runs.curve import StoredCurve
from server.services.runs.resume import checkpoint_before, pin_rollback_target
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, timeline
from server.store.checkpoints import CheckpointRow
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.direction import sign_of
from sturgeon.messages import Guard


def apply_guards(scope: Scope, row: TrialRow, watched: Sequence[EntryRow], curve: CurveReader) -> tuple[TrialRow, bool]:
    """Judge the changes that are watched; whether one of them was taken back."""
    for entry in watched:
        verdict = judge(scope.study, entry, curve)
        if verdict.verdict == "passed":
            timeline.note(scope.tx, row.id, entry.version, watching=False)
        checkpoint = checkpoint_before(scope.tx, row, entry) if entry.checkpoint is not None else None
        if verdict.verdict == "broken" and checkpoint is not None:  # else it is on its way; the next report judges
            return roll_back_before(scope, row, entry, checkpoint, verdict.why), True
    return row, False


def judge(study: StudyRow, entry: EntryRow, curve: CurveReader) -> guard.GuardVerdict:
    """What the guard of a change says of the curve since then."""
    given, since = Guard.model_validate(entry.guard), entry.from_step or 0
    # All metrics of a train task but the study's own are errors and losses.
    sign = sign_of(study.direction) if given.metric == study.metric else 1.0
    return guard.judge(guard.points_to_judge(curve, given, since), given, since, sign)


def roll_back_before(
    scope: Scope, row: TrialRow, entry: EntryRow, checkpoint: CheckpointRow | None, why: str
) -> TrialRow:
    """A guard takes its change back. The trial's row is locked."""
    timeline.note(scope.tx, row.id, entry.version, watching=False)
    target = pin_rollback_target(scope.tx, row, checkpoint)
    reason = f"The guard of version {entry.version}: {why}."
    detail = {"version": entry.version, "step": target.step, "reason": reason}
    events.insert(scope.tx, scope.study.id, "guard", scope.now, row.number, **detail)
    return desired_state.request_change(scope.tx, row, "policy", back=target, actor="guard", reason=reason)


def at_divergence(scope: Scope, row: TrialRow, where: str | None) -> TrialRow | None:
    """The trial after a run that diverged, if a guard takes its last change back; else None."""
    watched = timeline.watched(scope.tx, row.id)
    if not watched:
        return None
    checkpoint = checkpoint_before(scope.tx, row, watched[-1])
    if checkpoint is None and row.parent_number is not None:
        return None
    why = f"the run diverged{f' in {where}' if where else ''}"
    return roll_back_before(scope, row, watched[-1], checkpoint, why)


def at_completion(scope: Scope, row: TrialRow) -> TrialRow | None:
    """The trial after a run that is complete, if a guard takes its last change back; else None."""
    watched = timeline.watched(scope.tx, row.id) if row.desired else []
    if not watched or desired_of(row).run == "stop":
        return None
    curve = StoredPoints(StoredCurve(scope.tx, scope.study, row))
    for entry in watched:
        verdict = judge(scope.study, entry, curve)
        checkpoint = checkpoint_before(scope.tx, row, entry)
        if verdict.verdict == "broken" and (checkpoint is not None or row.parent_number is None):
            return roll_back_before(scope, row, entry, checkpoint, verdict.why)
    return None
