"""Policies: what they make of a report, or of a run that diverged. They decide purely (server/policies); here their
decisions are written: a policy with `auto` steers the trial, the others propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import drift, timelines
from server.policies.curve import Point
from server.policies.registry import RULES, propose
from server.policies.view import NEWEST, Decision, ParamsChange, PolicyView
from server.services.panda import challengers, guards, retests
from server.services.panda.guards import curve_points
from server.services.runs import desired_state
from server.services.runs.desired_state import RollbackTarget
from server.services.runs.resume import checkpoint_before, newest_checkpoint, pin_rollback_target, rollback_target
from server.services.studies.live_params import initial_params, params_in_force
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, proposals, timeline
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from sturgeon.messages import DriftPolicy, GuardPolicy, Policy
from sturgeon.training import flagged

POLICIES: TypeAdapter[list[Policy]] = TypeAdapter(list[Policy])


class PolicyDecision(NamedTuple):
    """What a policy comes to: its name, its change, where to go back to if it does, and whether it may do so itself."""

    policy: str
    change: Decision
    back: RollbackTarget | None
    auto: bool


def policies_of(study: StudyRow, row: TrialRow) -> list[Policy]:
    """The policies that watch over a trial: those of its study, if the trial is a panda."""
    return POLICIES.validate_python(study.policies) if row.mode == "panda" and study.policies else []


def keeps_checkpoints(study: StudyRow, row: TrialRow) -> bool:
    """Whether a checkpoint is to be kept before each change: a guard policy may want to go back before the change."""
    return any(isinstance(policy, GuardPolicy) for policy in policies_of(study, row))


def may_act(study: StudyRow, row: TrialRow) -> bool:
    """Whether something may come of a report: then the study is to be locked before the trial."""
    return row.desired is not None or bool(policies_of(study, row))


def after_report(scope: Scope, row: TrialRow) -> TrialRow:
    """Let guards and policies look at what was just reported. The rows of the study and the trial are locked."""
    policies = policies_of(scope.study, row)
    if not policies and row.desired is None:
        return row
    desired = desired_of(row)
    if desired.run == "stop" or desired.leg > (row.applied_version or 0):  # a rollback abandons what was reported
        return row
    watched = timeline.watched(scope.tx, row.id) if row.desired else []
    if not policies and not watched:
        return row
    curve = curve_points(scope.tx, scope.study, row)
    row, went_back = guards.apply_guards(scope, row, watched, curve)
    return row if went_back else _run_policies(scope, row, policies, curve)


def _run_policies(scope: Scope, row: TrialRow, policies: Sequence[Policy], curve: Sequence[Point]) -> TrialRow:
    for policy in policies:
        if isinstance(policy, DriftPolicy):
            retests.consider(scope, row, policy, curve)
        decision = _decide(scope, row, policy, curve)
        if decision is None:
            continue
        row = _write(scope, row, decision, curve)
        if isinstance(policy, DriftPolicy) and policy.challengers and decision.auto and curve[-1].metrics.get("drift"):
            at = curve[-1].step, drift.number_of(curve[-1])
            challengers.begin(scope, row, policy, decision.change.params, at)
        if decision.auto:
            return row
    return row


def _decide(scope: Scope, row: TrialRow, policy: Policy, curve: Sequence[Point]) -> PolicyDecision | None:
    """What the policy would change now; None while a proposal of its own is open."""
    own = [proposal for proposal in proposals.of_trial(scope.tx, row.id) if proposal.policy == policy.policy]
    if RULES[policy.policy].at != "report" or any(proposal.state == "open" for proposal in own):
        return None
    entries = timeline.of_trial(scope.tx, row.id)
    view = _view(scope.study, row, policy, curve, entries, own)
    if isinstance(policy, DriftPolicy):
        answered_until = challengers.answered_until(scope.tx, scope.study, row)
        view = replace(view, proposed_at=max(view.proposed_at, answered_until))
    decision = propose(policy, view)
    if decision is None:
        return None
    if isinstance(decision.back_to, int):
        return _before_change(scope, row, policy, decision, entries)
    checkpoint = newest_checkpoint(scope.tx, row) if decision.back_to == NEWEST else None
    back = None if checkpoint is None else pin_rollback_target(scope.tx, row, checkpoint)
    return PolicyDecision(policy.policy, decision, back, policy.auto)


def _before_change(
    scope: Scope, row: TrialRow, policy: Policy, decision: Decision, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """Back to before the change of a version; None where a branch has no checkpoint from before it."""
    change = next(entry for entry in entries if entry.version == decision.back_to)
    checkpoint = checkpoint_before(scope.tx, row, change)
    if checkpoint is None and row.parent_number is not None:
        return None
    return PolicyDecision(policy.policy, decision, rollback_target(row, checkpoint, entries), policy.auto)


def _view(
    study: StudyRow,
    row: TrialRow,
    policy: Policy,
    curve: Sequence[Point],
    entries: Sequence[EntryRow],
    own: Sequence[proposals.ProposalRow],
) -> PolicyView:
    """own: the policy's proposals for the trial."""
    live = {
        name: value
        for name, value in params_in_force(study, row).items()
        if study.task is None or name in flagged("live")
    }
    pending = desired_of(row).params if any(entry.state == "pending" for entry in entries) else {}
    others = [entry for entry in entries if not entry.actor.startswith(f"policy:{policy.policy}")]
    applied = [entry for entry in entries if entry.state == "applied" and entry.params]
    return PolicyView(
        curve,
        live | pending,
        usual=initial_params(study, row) | timelines.overrides(others),
        changes=[ParamsChange(entry.version, entry.from_step or 0, entry.guard is not None) for entry in applied],
        metric=study.metric,
        direction=study.direction,
        proposed_at=max((proposal.step or 0 for proposal in own), default=-1),
        accepted=sum(proposal.state == "accepted" for proposal in own),
    )


def _write(scope: Scope, row: TrialRow, decision: PolicyDecision, curve: Sequence[Point]) -> TrialRow:
    """Propose the change; accept it at once where the policy may."""
    tx, change = scope.tx, decision.change
    if decision.auto:
        by: dict[str, Any] = {"actor": f"policy:{decision.policy}", "reason": change.reason}
        keep = keeps_checkpoints(scope.study, row)
        row = desired_state.request_change(tx, row, "policy", params=change.params, back=decision.back, keep=keep, **by)
    state, version = ("accepted", desired_of(row).version) if decision.auto else ("open", None)
    values = {"trial_id": row.id, "policy": decision.policy, "params": change.params, "reason": change.reason}
    where = {"step": curve[-1].step if curve else 0, "restore": decision.back and decision.back.step}
    proposal = proposals.insert(tx, values | where | {"state": state, "version": version, "at": scope.now})
    detail = {"proposal": proposal.id, "policy": decision.policy, "state": state}
    events.insert(tx, scope.study.id, "proposal", scope.now, row.number, **detail)
    return row


def at_divergence(scope: Scope, row: TrialRow, where: str | None) -> TrialRow | None:
    """The trial after a run that diverged, if it is to go on: a guard or a policy takes it back, or a policy would and
    the trial waits for a person. None when it has diverged for good."""
    if (back := guards.at_divergence(scope, row, where)) is not None:
        return back
    policy = next((one for one in policies_of(scope.study, row) if RULES[one.policy].at == "divergence"), None)
    if policy is None:
        return None
    own = [proposal for proposal in proposals.of_trial(scope.tx, row.id) if proposal.policy == policy.policy]
    curve = curve_points(scope.tx, scope.study, row)
    view = _view(scope.study, row, policy, curve, timeline.of_trial(scope.tx, row.id), own)
    change = propose(policy, replace(view, diverged_in=where))
    if change is None:
        return None
    back_to = pin_rollback_target(scope.tx, row, newest_checkpoint(scope.tx, row))
    if not policy.auto:
        by: dict[str, Any] = {"actor": f"policy:{policy.policy}", "reason": change.reason}
        row = desired_state.request_change(scope.tx, row, "policy", run="pause", **by)
    return _write(scope, row, PolicyDecision(policy.policy, change, back_to, policy.auto), curve)
