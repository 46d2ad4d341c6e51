"""Policies: what they make of a report, or of a run that diverged. They decide purely (server/policies); here their
decisions are written: a policy with `auto` steers the trial, the others propose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import drift, timelines
from server.policies.curve import Point
from server.policies.registry import RULES, propose
from server.policies.view import NEWEST, Decision, ParamsChange, PolicyView
from server.services.panda import challengers, curve_marks, guards, retests
from server.services.panda.curve_marks import StoredPoints
from server.services.runs import desired_state
from server.services.runs.curve import StoredCurve
from server.services.runs.desired_state import RollbackTarget
from server.services.runs.resume import checkpoint_before, newest_checkpoint, pin_rollback_target, rollback_target
from server.services.studies.live_params import initial_params, params_in_force
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, proposals, timeline
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.messages import DriftPolicy, GuardPolicy, Policy
from sturgeon.training import flagged

SKIPPED = "policy_skipped"
POLICIES: TypeAdapter[list[Policy]] = TypeAdapter(list[Policy])


class PolicyDecision(NamedTuple):
    """What a policy comes to: its name, its change, where to go back to if it does, and whether it may do so itself."""

    policy: str
    change: Decision
    back: RollbackTarget | None
    auto: bool


def policies_of(study: StudyRow, row: TrialRow) -> list[Policy]:
    """The policies that look at a trial: those of its study, if the trial is a panda."""
    return POLICIES.validate_python(study.policies) if row.mode == "panda" and study.policies else []


def keeps_checkpoints(study: StudyRow, row: TrialRow) -> bool:
    """Whether a checkpoint is to be kept before each change: a guard policy may want to go back before the change."""
    return any(isinstance(policy, GuardPolicy) for policy in policies_of(study, row))


def may_act(study: StudyRow, row: TrialRow) -> bool:
    """Whether something may come of a report: then the study is to be locked before the trial."""
    return row.desired is not None or bool(policies_of(study, row))


def after_report(scope: Scope, row: TrialRow, first_new: int) -> TrialRow:
    """Let guards and policies look at what was just reported, from step `first_new` on. The rows of the study and the
    trial are locked."""
    policies = policies_of(scope.study, row)
    if not policies and row.desired is None:
        return row
    desired = desired_of(row)
    if desired.run == "stop" or desired.leg > (row.applied_version or 0):  # a rollback abandons what was reported
        return row
    watched = timeline.watched(scope.tx, row.id) if row.desired else []
    if not policies and not watched:
        return row
    curve = StoredCurve(scope.tx, scope.study, row)
    points = StoredPoints(curve)
    view = _view(scope, row)
    rules = {policy.policy: rule.mark(policy, view) for policy in policies if (rule := RULES[policy.policy]).mark}
    marks = curve_marks.read_on(scope.tx, row, curve, list(rules.values()), first_new) if rules else {}
    row, went_back = guards.apply_guards(scope, row, watched, points)
    if went_back:
        return row
    return _run_policies(scope, row, policies, points, view, {name: marks[rule.name] for name, rule in rules.items()})


def _run_policies(
    scope: Scope,
    row: TrialRow,
    policies: Sequence[Policy],
    curve: StoredPoints,
    view: PolicyView,
    marks: Mapping[str, Point | None],
) -> TrialRow:
    """marks: by policy, what its rule marks in the curve."""
    newest = curve.newest
    assert newest is not None, "a report has just come"
    made = proposals.summaries(scope.tx, row.id)
    for policy in policies:
        if isinstance(policy, DriftPolicy):
            with scope.attempt(SKIPPED, row.number, policy=policy.policy):
                retests.consider(scope, row, policy, newest)
        own = made.get(policy.policy, proposals.NOTHING)
        if RULES[policy.policy].at != "report" or own.is_open:
            continue
        steered = None
        with scope.attempt(SKIPPED, row.number, policy=policy.policy):
            own_view = _own_view(scope, row, policy, view, own)
            window = RULES[policy.policy].window(policy, own_view, curve, marks.get(policy.policy))
            decision = _decide(scope, row, policy, replace(own_view, curve=window))
            if decision is not None:
                with scope.tx.savepoint():
                    steered = _carry_out(scope, row, policy, decision, newest)
        if steered is not None:
            return steered
    return row


def _carry_out(scope: Scope, row: TrialRow, policy: Policy, decision: PolicyDecision, newest: Point) -> TrialRow | None:
    """The trial after a change that the policy makes by itself; None where it only proposes."""
    row = _write(scope, row, decision, newest.step)
    if isinstance(policy, DriftPolicy) and policy.challengers and decision.auto and newest.metrics.get("drift"):
        at = newest.step, drift.number_of(newest)
        challengers.begin(scope, row, policy, decision.change.params, at)
    return row if decision.auto else None


def _decide(scope: Scope, row: TrialRow, policy: Policy, view: PolicyView) -> PolicyDecision | None:
    """What the policy would change now."""
    decision = propose(policy, view)
    if decision is None:
        return None
    if isinstance(decision.back_to, int):
        return _before_change(scope, row, policy, decision)
    checkpoint = newest_checkpoint(scope.tx, row) if decision.back_to == NEWEST else None
    back = None if checkpoint is None else pin_rollback_target(scope.tx, row, checkpoint)
    return PolicyDecision(policy.policy, decision, back, policy.auto)


def _before_change(scope: Scope, row: TrialRow, policy: Policy, decision: Decision) -> PolicyDecision | None:
    """Back to before the change of a version; None where a branch has no checkpoint from before it."""
    entries = timeline.of_trial(scope.tx, row.id)
    change = next(entry for entry in entries if entry.version == decision.back_to)
    checkpoint = checkpoint_before(scope.tx, row, change)
    if checkpoint is None and row.parent_number is not None:
        return None
    return PolicyDecision(policy.policy, decision, rollback_target(row, checkpoint, entries), policy.auto)


def _view(scope: Scope, row: TrialRow) -> PolicyView:
    """The trial as all policies see it, but for its curve. Of its changes only the newest, with and without a guard of
    their own, are in the view: no policy looks at others."""
    study = scope.study
    live = {
        name: value
        for name, value in params_in_force(study, row).items()
        if not study.trains or name in flagged("live")
    }
    if row.desired is None:
        return PolicyView([], live, metric=study.metric, direction=study.direction)
    changes, is_any_pending = timeline.newest_changes(scope.tx, row.id)
    return PolicyView(
        [],
        live | (desired_of(row).params if is_any_pending else {}),
        changes=[ParamsChange(entry.version, entry.from_step or 0, entry.guard is not None) for entry in changes],
        metric=study.metric,
        direction=study.direction,
    )


def _own_view(scope: Scope, row: TrialRow, policy: Policy, view: PolicyView, own: proposals.Summary) -> PolicyView:
    """The view of one policy. own: what it has proposed so far."""
    proposed_at = -1 if own.newest_step is None else own.newest_step
    if isinstance(policy, DriftPolicy):
        proposed_at = max(proposed_at, challengers.answered_until(scope.tx, scope.study, row))
    usual: Mapping[str, Any] = {}
    if RULES[policy.policy].needs_usual:
        others = timeline.in_force_but_of(scope.tx, row.id, f"policy:{policy.policy}")
        usual = initial_params(scope.study, row) | timelines.overrides(others)
    return replace(view, usual=usual, proposed_at=proposed_at, accepted=own.accepted)


def _write(scope: Scope, row: TrialRow, decision: PolicyDecision, step: int) -> TrialRow:
    """Propose the change; accept it at once where the policy may."""
    tx, change = scope.tx, decision.change
    if decision.auto:
        by: Json = {"actor": f"policy:{decision.policy}", "reason": change.reason}
        keep = keeps_checkpoints(scope.study, row)
        row = desired_state.request_change(tx, row, "policy", params=change.params, back=decision.back, keep=keep, **by)
    state, version = ("accepted", desired_of(row).version) if decision.auto else ("open", None)
    values = {"trial_id": row.id, "policy": decision.policy, "params": change.params, "reason": change.reason}
    where = {"step": step, "restore": decision.back and decision.back.step}
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
    own = proposals.summaries(scope.tx, row.id).get(policy.policy, proposals.NOTHING)
    view = _own_view(scope, row, policy, _view(scope, row), own)
    change = propose(policy, replace(view, diverged_in=where))
    if change is None:
        return None
    back_to = pin_rollback_target(scope.tx, row, newest_checkpoint(scope.tx, row))
    if not policy.auto:
        by: Json = {"actor": f"policy:{policy.policy}", "reason": change.reason}
        row = desired_state.request_change(scope.tx, row, "policy", run="pause", **by)
    newest = StoredPoints(StoredCurve(scope.tx, scope.study, row)).newest
    decision = PolicyDecision(policy.policy, change, back_to, policy.auto)
    return _write(scope, row, decision, 0 if newest is None else newest.step)
