"""Guards and policies: what they make of a report, or of the end of a run. They decide purely (server/policies); here
their decisions are written: a guard and a policy with `auto` steer the trial, the others propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import drift, guard, timelines
from server.policies.curve import Point
from server.policies.registry import RULES, propose
from server.policies.view import NEWEST, Decision, ParamsChange, PolicyView
from server.services.panda import challengers, retests
from server.services.runs import desired_state
from server.services.runs.curve import present_run_reports
from server.services.runs.resume import checkpoint_before, newest_checkpoint, pin_rollback_target, rollback_target
from server.services.studies import live_params
from server.store import events, proposals, timeline
from server.store.checkpoints import CheckpointRow
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.direction import sign_of
from sturgeon.messages import DriftPolicy, GuardPolicy, Policy
from sturgeon.messages import Guard as Watch
from sturgeon.training import flagged

POLICIES: TypeAdapter[list[Policy]] = TypeAdapter(list[Policy])


class PolicyDecision(NamedTuple):
    """What a policy comes to: its name, its change, where to go back to if it does, and whether it may do so itself."""

    policy: str
    change: Decision
    back: desired_state.RollbackTarget | None
    auto: bool


def policies_of(study: StudyRow, row: TrialRow) -> list[Policy]:
    """The policies that watch over a trial: those of its study, if it is a panda."""
    return POLICIES.validate_python(study.policies) if row.mode == "panda" and study.policies else []


def keeps(study: StudyRow, row: TrialRow) -> bool:
    """Whether a checkpoint is to be kept before each change: a guard may want to go back behind it."""
    return any(isinstance(policy, GuardPolicy) for policy in policies_of(study, row))


def may_act(study: StudyRow, row: TrialRow) -> bool:
    """Whether something may come of a report: then the study is to be locked before the trial, as all do who steer."""
    return row.desired is not None or bool(policies_of(study, row))


def after_report(tx: Transaction, study: StudyRow, row: TrialRow) -> TrialRow:
    """Let guards and policies look at what was just reported. The rows of the study and the
    trial are locked."""
    policies = policies_of(study, row)
    if not policies and row.desired is None:
        return row
    desired = desired_state.desired_of(row)
    if desired.run == "stop" or desired.leg > (row.applied_version or 0):  # what is reported is left already
        return row
    watched = timeline.watched(tx, row.id) if row.desired else []
    if not policies and not watched:
        return row
    curve = points(tx, study, row)
    row, went_back = _guarded(tx, study, row, watched, curve)
    if went_back:
        return row
    for policy in policies:
        if isinstance(policy, DriftPolicy):
            retests.consider(tx, study, row, policy, curve)
        wish = _wish(tx, study, row, policy, curve)
        if wish is not None:
            row = _fulfil(tx, study, row, wish, curve)
            if isinstance(policy, DriftPolicy) and policy.challengers and wish.auto and curve[-1].metrics.get("drift"):
                at = curve[-1].step, drift.number_of(curve[-1])
                challengers.begin(tx, study, row, policy, wish.change.params, at)
            if wish.auto:
                return row
    return row


def points(tx: Transaction, study: StudyRow, row: TrialRow) -> list[Point]:
    return [Point(one.step, one.epoch, one.metrics) for one in present_run_reports(tx, study, row)]


def _guarded(
    tx: Transaction, study: StudyRow, row: TrialRow, watched: Sequence[EntryRow], curve: Sequence[Point]
) -> tuple[TrialRow, bool]:
    for entry in watched:
        judged = _judge(study, entry, curve)
        if judged.verdict == "passed":
            timeline.note(tx, row.id, entry.version, watching=False)
        kept = checkpoint_before(tx, row, entry) if entry.checkpoint is not None else None
        if judged.verdict == "broken" and kept is not None:  # else it is on its way; the next report judges again
            return roll_back_before(tx, study, row, entry, kept, judged.why), True
    return row, False


def _judge(study: StudyRow, entry: EntryRow, curve: Sequence[Point]) -> guard.GuardVerdict:
    watch = Watch.model_validate(entry.guard)
    # All metrics of a train task but the study's own are errors and losses.
    sign = sign_of(study.direction) if watch.metric == study.metric else 1.0
    return guard.judge(curve, watch, entry.from_step or 0, sign)


def roll_back_before(
    tx: Transaction, study: StudyRow, row: TrialRow, entry: EntryRow, kept: CheckpointRow | None, why: str
) -> TrialRow:
    """A guard takes its change back."""
    timeline.note(tx, row.id, entry.version, watching=False)
    back = pin_rollback_target(tx, row, kept)
    reason = f"The guard of version {entry.version}: {why}."
    events.insert(tx, study.id, "guard", tx.now(), row.number, version=entry.version, step=back.step, reason=reason)
    return desired_state.request_change(tx, row, "policy", back=back, actor="guard", reason=reason)


def _wish(
    tx: Transaction, study: StudyRow, row: TrialRow, policy: Policy, curve: Sequence[Point]
) -> PolicyDecision | None:
    mine = [one for one in proposals.of_trial(tx, row.id) if one.policy == policy.policy]
    if RULES[policy.policy].at != "report" or any(one.state == "open" for one in mine):
        return None
    entries = timeline.of_trial(tx, row.id)
    view = _view(study, row, policy, curve, entries, mine)
    if isinstance(policy, DriftPolicy):
        view = replace(view, proposed_at=max(view.proposed_at, challengers.answered_until(tx, study, row)))
    decision = propose(policy, view)
    if decision is None or isinstance(decision.back_to, int):
        return None if decision is None else _before_change(tx, row, policy, decision, entries)
    kept = newest_checkpoint(tx, row) if decision.back_to == NEWEST else None
    back = None if kept is None else pin_rollback_target(tx, row, kept)
    return PolicyDecision(policy.policy, decision, back, policy.auto)


def _before_change(
    tx: Transaction, row: TrialRow, policy: Policy, decision: Decision, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """Back to before the change of a version; None where a branch has no checkpoint from before it."""
    kept = checkpoint_before(tx, row, next(entry for entry in entries if entry.version == decision.back_to))
    if kept is None and row.parent_number is not None:
        return None
    return PolicyDecision(policy.policy, decision, rollback_target(row, kept, entries), policy.auto)


def _view(
    study: StudyRow,
    row: TrialRow,
    policy: Policy,
    curve: Sequence[Point],
    entries: Sequence[EntryRow],
    mine: Sequence[proposals.ProposalRow],
) -> PolicyView:
    own = {
        name: value
        for name, value in live_params.params_in_force(study, row).items()
        if study.task is None or _is_live(name)
    }
    pending = desired_state.desired_of(row).params if any(entry.state == "pending" for entry in entries) else {}
    others = [entry for entry in entries if not entry.actor.startswith(f"policy:{policy.policy}")]
    applied = [entry for entry in entries if entry.state == "applied" and entry.params]
    return PolicyView(
        curve,
        own | pending,
        usual=live_params.initial_params(study, row) | timelines.overrides(others),
        changes=[ParamsChange(entry.version, entry.from_step or 0, entry.guard is not None) for entry in applied],
        metric=study.metric,
        direction=study.direction,
        proposed_at=max((one.step or 0 for one in mine), default=-1),
        accepted=sum(one.state == "accepted" for one in mine),
    )


def _is_live(name: str) -> bool:
    return name in flagged("live")


def _fulfil(tx: Transaction, study: StudyRow, row: TrialRow, wish: PolicyDecision, curve: Sequence[Point]) -> TrialRow:
    """Propose it; accept it at once where the policy may."""
    if wish.auto:
        actor = f"policy:{wish.policy}"
        told: dict[str, Any] = {"actor": actor, "reason": wish.change.reason, "keep": keeps(study, row)}
        row = desired_state.request_change(tx, row, "policy", params=wish.change.params, back=wish.back, **told)
    state, version = ("accepted", desired_state.desired_of(row).version) if wish.auto else ("open", None)
    values = {"trial_id": row.id, "policy": wish.policy, "params": wish.change.params, "reason": wish.change.reason}
    where = {"step": curve[-1].step if curve else 0, "restore": wish.back and wish.back.step}
    now = tx.now()
    made = proposals.insert(tx, values | where | {"state": state, "version": version, "at": now})
    events.insert(tx, study.id, "proposal", now, row.number, proposal=made.id, policy=wish.policy, state=state)
    return row


def at_divergence(tx: Transaction, study: StudyRow, row: TrialRow, where: str | None) -> TrialRow | None:
    """The trial after a run that diverged, if it is to go on: a guard or a policy takes it back, or a policy would and
    it waits for a person. None when it has diverged for good."""
    entries = timeline.of_trial(tx, row.id)
    watched = [entry for entry in entries if entry.watching and entry.state == "applied"]
    if watched and (entry := watched[-1]):
        kept = checkpoint_before(tx, row, entry)
        if kept is not None or row.parent_number is None:
            return roll_back_before(tx, study, row, entry, kept, f"the run diverged{f' in {where}' if where else ''}")
    policy = next((one for one in policies_of(study, row) if RULES[one.policy].at == "divergence"), None)
    if policy is None:
        return None
    mine = [one for one in proposals.of_trial(tx, row.id) if one.policy == policy.policy]
    curve = points(tx, study, row)
    change = propose(policy, replace(_view(study, row, policy, curve, entries, mine), diverged_in=where))
    if change is None:
        return None
    back = pin_rollback_target(tx, row, newest_checkpoint(tx, row))
    if not policy.auto:
        row = desired_state.request_change(
            tx, row, "policy", run="pause", actor=f"policy:{policy.policy}", reason=change.reason
        )
    return _fulfil(tx, study, row, PolicyDecision(policy.policy, change, back, policy.auto), curve)


def at_completion(tx: Transaction, study: StudyRow, row: TrialRow) -> TrialRow | None:
    """The trial after a run that is complete, if a guard takes its last change back; else None."""
    watched = timeline.watched(tx, row.id) if row.desired else []
    if not watched or desired_state.desired_of(row).run == "stop":
        return None
    curve = points(tx, study, row)
    for entry in watched:
        judged = _judge(study, entry, curve)
        kept = checkpoint_before(tx, row, entry)
        if judged.verdict == "broken" and (kept is not None or row.parent_number is None):
            return roll_back_before(tx, study, row, entry, kept, judged.why)
    return None
