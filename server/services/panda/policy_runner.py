"""Policies: what they make of a report, or of a run that diverged. They decide purely (server/policies); here their
decisions are written: a policy with `auto` steers the trial, the others propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import divergence, drift, guard, plateau, schedule, timelines
from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal
from server.services.panda import challengers, guards, retests
from server.services.panda.guards import curve_points, sign_of_metric
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
            with scope.attempt(SKIPPED, row.number, policy=policy.policy):
                retests.consider(scope, row, policy, curve)
        steered = None
        with scope.attempt(SKIPPED, row.number, policy=policy.policy):
            steered = _run(scope, row, policy, curve)
        if steered is not None:
            return steered
    return row


def _run(scope: Scope, row: TrialRow, policy: Policy, curve: Sequence[Point]) -> TrialRow | None:
    """The trial after a change that the policy has made by itself; None where it has made none."""
    decision = _decide(scope, row, policy, curve)
    if decision is None:
        return None
    row = _write(scope, row, decision, curve)
    if isinstance(policy, DriftPolicy) and policy.challengers and decision.auto and curve[-1].metrics.get("drift"):
        at = curve[-1].step, drift.number_of(curve[-1])
        challengers.begin(scope, row, policy, decision.change.params, at)
    return row if decision.auto else None


def _decide(scope: Scope, row: TrialRow, policy: Policy, curve: Sequence[Point]) -> PolicyDecision | None:
    """What the policy would change now; None while a proposal of its own is open."""
    mine = [proposal for proposal in proposals.of_trial(scope.tx, row.id) if proposal.policy == policy.policy]
    if any(proposal.state == "open" for proposal in mine):
        return None
    entries = timeline.of_trial(scope.tx, row.id)
    panda = _panda(scope.study, row, curve, entries, mine)
    match policy:
        case PlateauPolicy():
            metric = policy.metric or scope.study.metric
            sign = sign_of_metric(scope.study, metric)
            limits = (policy.patience_epochs, policy.least_gain, policy.factor, policy.lowest)
            change = plateau.propose(panda, metric, sign, *limits)
        case SchedulePolicy():
            change = schedule.propose(panda, [(planned.epoch, planned.params) for planned in policy.at])
        case GuardPolicy():
            return _decide_guard(scope, row, policy, panda, entries)
        case DriftPolicy():
            return _decide_drift(scope, row, policy, panda, entries)
        case DivergencePolicy():
            return None
    return None if change is None else PolicyDecision(policy.policy, change, None, policy.auto)


def _panda(
    study: StudyRow,
    row: TrialRow,
    curve: Sequence[Point],
    entries: Sequence[EntryRow],
    mine: Sequence[proposals.ProposalRow],
) -> Panda:
    own = {
        name: value
        for name, value in params_in_force(study, row).items()
        if study.task is None or name in flagged("live")
    }
    changes = [entry.from_step or 0 for entry in entries if entry.state == "applied" and entry.params]
    pending = desired_of(row).params if any(entry.state == "pending" for entry in entries) else {}
    return Panda(
        curve,
        own | pending,
        changed_at=max(changes, default=-1),
        proposed_at=max((proposal.step or 0 for proposal in mine), default=-1),
        done=sum(proposal.state == "accepted" for proposal in mine),
    )


def _decide_drift(
    scope: Scope, row: TrialRow, policy: DriftPolicy, panda: Panda, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """The usual parameters are those of the trial and of everybody but this policy."""
    others = [entry for entry in entries if not entry.actor.startswith(f"policy:{policy.policy}")]
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
    scope: Scope, row: TrialRow, policy: GuardPolicy, panda: Panda, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """Of the newest change without a guard of its own, unless this policy proposed something since."""
    changes = [entry for entry in entries if entry.state == "applied" and entry.params and entry.guard is None]
    if not changes or panda.proposed_at > (changes[-1].from_step or 0):
        return None
    entry = changes[-1]
    sign = sign_of_metric(scope.study, policy.metric)
    since = entry.from_step or 0
    verdict = guard.judge(panda.curve, policy.metric, policy.worse_by, policy.within_epochs, since, sign)
    checkpoint = checkpoint_before(scope.tx, row, entry)
    if verdict.verdict != "broken" or (checkpoint is None and row.parent_number is not None):
        return None
    change = Proposal(f"Since version {entry.version} {verdict.why}: back to before it.", back=True)
    return PolicyDecision(policy.policy, change, rollback_target(row, checkpoint, entries), policy.auto)


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
    policy = next((one for one in policies_of(scope.study, row) if isinstance(one, DivergencePolicy)), None)
    if policy is None:
        return None
    mine = [proposal for proposal in proposals.of_trial(scope.tx, row.id) if proposal.policy == policy.policy]
    curve = curve_points(scope.tx, scope.study, row)
    panda = _panda(scope.study, row, curve, timeline.of_trial(scope.tx, row.id), mine)
    change = divergence.propose(panda, where, policy.factor, policy.give_up_after)
    if change is None:
        return None
    back_to = pin_rollback_target(scope.tx, row, newest_checkpoint(scope.tx, row))
    if not policy.auto:
        by: dict[str, Any] = {"actor": f"policy:{policy.policy}", "reason": change.reason}
        row = desired_state.request_change(scope.tx, row, "policy", run="pause", **by)
    return _write(scope, row, PolicyDecision(policy.policy, change, back_to, policy.auto), curve)
