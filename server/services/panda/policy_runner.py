"""Policies: what they make of a report, or of a run that diverged. They decide purely (server/policies); here their
decisions are written: a policy with `auto` steers the trial, the others propose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import divergence, drift, plateau, schedule, timelines
from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal
from server.services.panda import challengers, curve_marks, guards, retests, windows
from server.services.panda.guards import sign_of_metric
from server.services.runs import desired_state
from server.services.runs.curve import StoredCurve
from server.services.runs.desired_state import RollbackTarget
from server.services.runs.resume import checkpoint_before, newest_checkpoint, pin_rollback_target, rollback_target
from server.services.studies.live_params import initial_params, params_in_force
from server.services.transactions import Scope
from server.services.views import desired_of
from server.store import events, proposals, timeline
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.messages import DivergencePolicy, DriftPolicy, GuardPolicy, PlateauPolicy, Policy, SchedulePolicy
from sturgeon.training import flagged

SKIPPED = "policy_skipped"
POLICIES: TypeAdapter[list[Policy]] = TypeAdapter(list[Policy])


class PolicyDecision(NamedTuple):
    """What a policy comes to: its name, its change, where to go back to if it does, and whether it may do so itself."""

    policy: str
    change: Proposal
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
    marks = _marks(scope, row, policies, curve, first_new)
    row, went_back = guards.apply_guards(scope, row, watched, curve)
    return row if went_back else _run_policies(scope, row, policies, curve, marks)


def _marks(
    scope: Scope, row: TrialRow, policies: Sequence[Policy], curve: StoredCurve, first_new: int
) -> dict[str, Point | None]:
    """What the policies' rules mark in the curve, by the name of the rule."""
    rules = [rule for policy in policies if (rule := _rule_of(scope.study, policy)) is not None]
    return curve_marks.read_on(scope.tx, row, curve, rules, first_new) if rules else {}


def _rule_of(study: StudyRow, policy: Policy) -> curve_marks.Rule | None:
    if isinstance(policy, DriftPolicy):
        return curve_marks.last_alarm()
    if isinstance(policy, PlateauPolicy):
        metric = policy.metric or study.metric
        return curve_marks.best_value(metric, sign_of_metric(study, metric), policy.least_gain)
    return None


def _run_policies(
    scope: Scope, row: TrialRow, policies: Sequence[Policy], curve: StoredCurve, marks: Mapping[str, Point | None]
) -> TrialRow:
    newest = windows.last(curve)
    assert newest is not None, "a report has just come"
    made = proposals.summaries(scope.tx, row.id)
    panda = _panda(scope, row)
    for policy in policies:
        if isinstance(policy, DriftPolicy):
            with scope.attempt(SKIPPED, row.number, policy=policy.policy):
                retests.consider(scope, row, policy, newest)
        rule, steered = _rule_of(scope.study, policy), None
        mine = made.get(policy.policy, proposals.NOTHING)
        if mine.is_open:
            continue
        with scope.attempt(SKIPPED, row.number, policy=policy.policy):
            seen, mark = _with_own(panda, mine), None if rule is None else marks[rule.name]
            decision = _decide(scope, row, policy, seen, curve, mark)
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


def _decide(
    scope: Scope, row: TrialRow, policy: Policy, panda: Panda, curve: StoredCurve, mark: Point | None
) -> PolicyDecision | None:
    """What the policy would change now. `mark`: what its rule marks in the curve."""
    match policy:
        case PlateauPolicy():
            metric = policy.metric or scope.study.metric
            sign = sign_of_metric(scope.study, metric)
            limits = (policy.patience_epochs, policy.least_gain, policy.factor, policy.lowest)
            window = windows.of_plateau(curve, mark, (panda.changed_at, panda.proposed_at))
            change = plateau.propose(replace(panda, curve=window), metric, sign, *limits)
        case SchedulePolicy():
            plan = [(planned.epoch, planned.params) for planned in policy.at]
            change = schedule.propose(replace(panda, curve=windows.of_schedule(curve, panda.proposed_at)), plan)
        case GuardPolicy():
            return _decide_guard(scope, row, policy, panda, curve)
        case DriftPolicy():
            return _decide_drift(scope, row, policy, replace(panda, curve=windows.of_drift(curve, mark)))
        case DivergencePolicy():
            return None
    return None if change is None else PolicyDecision(policy.policy, change, None, policy.auto)


def _panda(scope: Scope, row: TrialRow) -> Panda:
    """The trial as all policies see it, but for its curve."""
    own = {
        name: value
        for name, value in params_in_force(scope.study, row).items()
        if scope.study.task is None or name in flagged("live")
    }
    if row.desired is None:
        return Panda([], own)
    changed_at, is_any_pending = timeline.newest_change(scope.tx, row.id)
    pending = desired_of(row).params if is_any_pending else {}
    return Panda([], own | pending, changed_at=-1 if changed_at is None else changed_at)


def _with_own(panda: Panda, mine: proposals.Summary) -> Panda:
    """As one policy sees it, with what that has proposed."""
    return replace(panda, proposed_at=-1 if mine.newest_step is None else mine.newest_step, done=mine.accepted)


def _decide_drift(scope: Scope, row: TrialRow, policy: DriftPolicy, panda: Panda) -> PolicyDecision | None:
    """The usual parameters are those of the trial and of everybody but this policy."""
    if not panda.curve:  # no alarm yet
        return None
    others = timeline.in_force_but_of(scope.tx, row.id, f"policy:{policy.policy}")
    usual = initial_params(scope.study, row) | timelines.overrides(others)
    answer = drift.Answer(
        policy.rate_factor,
        policy.averages_factor,
        policy.passes,
        policy.forget,
        policy.calm_portions,
        policy.roll_back,
        policy.match_labels,
        policy.clip_inputs,
        policy.l2,
    )
    answered_until = challengers.answered_until(scope.tx, scope.study, row)
    panda = replace(panda, proposed_at=max(panda.proposed_at, answered_until))
    change = drift.propose(panda, usual, answer)
    if change is None:
        return None
    checkpoint = newest_checkpoint(scope.tx, row) if change.back else None
    back = None if checkpoint is None else pin_rollback_target(scope.tx, row, checkpoint)
    return PolicyDecision(policy.policy, change, back, policy.auto)


def _decide_guard(
    scope: Scope, row: TrialRow, policy: GuardPolicy, panda: Panda, curve: StoredCurve
) -> PolicyDecision | None:
    """Of the newest change without a guard of its own, unless this policy proposed something since."""
    entry = timeline.newest_unguarded_change(scope.tx, row.id) if row.desired is not None else None
    if entry is None or panda.proposed_at > (entry.from_step or 0):
        return None
    verdict = guards.judge_since(scope.study, policy, entry, curve)
    if verdict.verdict != "broken":
        return None
    checkpoint = checkpoint_before(scope.tx, row, entry)
    if checkpoint is None and row.parent_number is not None:
        return None
    entries = timeline.of_trial(scope.tx, row.id)
    change = Proposal(f"Since version {entry.version} {verdict.why}: back to before it.", back=True)
    return PolicyDecision(policy.policy, change, rollback_target(row, checkpoint, entries), policy.auto)


def _write(scope: Scope, row: TrialRow, decision: PolicyDecision, step: int) -> TrialRow:
    """Propose the change; accept it at once where the policy may."""
    tx, change = scope.tx, decision.change
    if decision.auto:
        by: dict[str, Any] = {"actor": f"policy:{decision.policy}", "reason": change.reason}
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
    policy = next((one for one in policies_of(scope.study, row) if isinstance(one, DivergencePolicy)), None)
    if policy is None:
        return None
    mine = proposals.summaries(scope.tx, row.id).get(policy.policy, proposals.NOTHING)
    panda = _with_own(_panda(scope, row), mine)
    change = divergence.propose(panda, where, policy.factor, policy.give_up_after)
    if change is None:
        return None
    back_to = pin_rollback_target(scope.tx, row, newest_checkpoint(scope.tx, row))
    if not policy.auto:
        by: dict[str, Any] = {"actor": f"policy:{policy.policy}", "reason": change.reason}
        row = desired_state.request_change(scope.tx, row, "policy", run="pause", **by)
    newest = windows.last(StoredCurve(scope.tx, scope.study, row))
    decision = PolicyDecision(policy.policy, change, back_to, policy.auto)
    return _write(scope, row, decision, 0 if newest is None else newest.step)
