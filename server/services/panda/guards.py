"""Guards and policies: what they make of a report, or of the end of a run. They decide purely (server/policies); here
their decisions are written: a guard and a policy with `auto` steer the trial, the others propose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from server.policies import divergence, drift, guard, plateau, schedule, timelines
from server.policies.guard import Point
from server.policies.proposal import Panda, Proposal
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
from sturgeon.messages import DivergencePolicy, DriftPolicy, GuardPolicy, PlateauPolicy, Policy, SchedulePolicy
from sturgeon.messages import Guard as Watch
from sturgeon.training import flagged

POLICIES: TypeAdapter[list[Policy]] = TypeAdapter(list[Policy])


class PolicyDecision(NamedTuple):
    """What a policy comes to: its name, its change, where to go back to if it does, and whether it may do so itself."""

    policy: str
    change: Proposal
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
        if judged.verdict == "held":
            timeline.note(tx, row.id, entry.version, watching=False)
        kept = checkpoint_before(tx, row, entry) if entry.checkpoint is not None else None
        if judged.verdict == "broken" and kept is not None:  # else it is on its way; the next report judges again
            return roll_back_before(tx, study, row, entry, kept, judged.why), True
    return row, False


def _judge(study: StudyRow, entry: EntryRow, curve: Sequence[Point]) -> guard.Judged:
    watch = Watch.model_validate(entry.guard)
    return guard.judge(
        curve, watch.metric, watch.worse_by, watch.within_epochs, entry.from_step or 0, _sign(study, watch.metric)
    )


def _sign(study: StudyRow, metric: str) -> float:
    """1 where less is better: all metrics of a train task are errors and losses."""
    return -1.0 if metric == study.metric and study.direction == "maximize" else 1.0


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
    if any(one.state == "open" for one in mine):
        return None
    entries = timeline.of_trial(tx, row.id)
    panda = _panda(study, row, curve, entries, mine)
    match policy:
        case PlateauPolicy():
            metric = policy.metric or study.metric
            change = plateau.propose(
                panda,
                metric,
                _sign(study, metric),
                policy.patience_epochs,
                policy.least_gain,
                policy.factor,
                policy.lowest,
            )
        case SchedulePolicy():
            change = schedule.propose(panda, [(one.epoch, one.params) for one in policy.at])
        case GuardPolicy():
            return _guard_wish(tx, study, row, policy, panda, entries)
        case DriftPolicy():
            return _drift_wish(tx, study, row, policy, panda, entries)
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
        for name, value in live_params.params_in_force(study, row).items()
        if study.task is None or _is_live(name)
    }
    changes = [entry.from_step or 0 for entry in entries if entry.state == "applied" and entry.params]
    pending = desired_state.desired_of(row).params if any(entry.state == "pending" for entry in entries) else {}
    return Panda(
        curve,
        own | pending,
        changed_at=max(changes, default=-1),
        proposed_at=max((one.step or 0 for one in mine), default=-1),
        done=sum(one.state == "accepted" for one in mine),
    )


def _is_live(name: str) -> bool:
    return name in flagged("live")


def _drift_wish(
    tx: Transaction, study: StudyRow, row: TrialRow, policy: DriftPolicy, panda: Panda, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """The usual parameters are those of the trial and of everybody but this policy."""
    others = [entry for entry in entries if not entry.actor.startswith(f"policy:{policy.policy}")]
    usual = live_params.initial_params(study, row) | timelines.overrides(others)
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
    panda = replace(panda, proposed_at=max(panda.proposed_at, challengers.answered_until(tx, study, row)))
    change = drift.propose(panda, usual, answer)
    if change is None:
        return None
    kept = newest_checkpoint(tx, row) if change.back else None
    back = None if kept is None else pin_rollback_target(tx, row, kept)
    return PolicyDecision(policy.policy, change, back, policy.auto)


def _guard_wish(
    tx: Transaction, study: StudyRow, row: TrialRow, policy: GuardPolicy, panda: Panda, entries: Sequence[EntryRow]
) -> PolicyDecision | None:
    """Of the newest change without a guard of its own, unless this policy proposed something since."""
    changes = [entry for entry in entries if entry.state == "applied" and entry.params and entry.guard is None]
    if not changes or panda.proposed_at > (changes[-1].from_step or 0):
        return None
    entry = changes[-1]
    judged = guard.judge(
        panda.curve,
        policy.metric,
        policy.worse_by,
        policy.within_epochs,
        entry.from_step or 0,
        _sign(study, policy.metric),
    )
    kept = checkpoint_before(tx, row, entry)
    if judged.verdict != "broken" or (kept is None and row.parent_number is not None):
        return None
    reason = f"Since version {entry.version} {judged.why}: back to before it."
    return PolicyDecision(policy.policy, Proposal(reason, back=True), rollback_target(row, kept, entries), policy.auto)


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
    policy = next((one for one in policies_of(study, row) if isinstance(one, DivergencePolicy)), None)
    if policy is None:
        return None
    mine = [one for one in proposals.of_trial(tx, row.id) if one.policy == policy.policy]
    curve = points(tx, study, row)
    change = divergence.propose(_panda(study, row, curve, entries, mine), where, policy.factor, policy.give_up_after)
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
