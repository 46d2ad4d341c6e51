"""Rows of the store -> messages: the one place where a row becomes what the wire says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from server.store.checkpoints import CheckpointRow
from server.store.events import EventRow
from server.store.json_columns import Json
from server.store.kept_amounts import Amounts
from server.store.late_results import LateRow
from server.store.proposals import ProposalRow
from server.store.reports import ReportRow
from server.store.space_revisions import RevisionRow
from server.store.studies import StudyRow
from server.store.timeline import EntryRow
from server.store.trials import TrialRow
from server.store.unable import UnableRow
from server.store.workers import WorkerRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber, Version
from sturgeon.messages.tasks import task_of
from sturgeon.search.separation import mean, spread
from sturgeon.space import Space
from sturgeon.states import TRIAL_STATES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: int) -> datetime:
    """Microseconds since 1970 UTC as a datetime."""
    return EPOCH + timedelta(microseconds=at)


def space_of(row: StudyRow | RevisionRow) -> Space:
    """The space of a study, or one that it had, with its constraints."""
    return _space(json.dumps(row.space), tuple(row.constraints))


@lru_cache(256)
def _space(text: str, constraints: tuple[str, ...]) -> Space:
    return Space.model_validate(json.loads(text)).constrained(list(constraints))


def study(
    row: StudyRow, used: Amounts, best: list[messages.BestTrial], placement: PlacementOf | None = None
) -> messages.Study:
    """placement: of a study that workers run, whether they can."""
    return messages.Study(
        name=row.name,
        title=row.title,
        state=row.state,
        metric=row.metric,
        direction=row.direction,
        reduce=row.reduce,
        space=space_of(row),
        constraints=row.constraints,
        tags=row.tags,
        notes=row.notes,
        code_version=row.code_version,
        data_version=row.data_version,
        search=messages.Search(sampler=row.sampler, seed=row.seed, replicates=row.replicates, **row.sampler_options),
        pruning=messages.Pruning.model_validate(row.pruning),
        budget=budget_of(row),
        task=None if row.task is None else task_of(row.task),
        needs=messages.Needs.model_validate(row.needs or {}),
        mode=row.mode,
        policies=row.policies,
        revision=row.revision,
        counts={state: used.counts[state] for state in TRIAL_STATES if state in used.counts},
        spent=messages.Spent(trials=row.next_number, epochs=used.epochs, seconds=used.seconds, limit=row.spent),
        best=best[0] if best else None,
        unable=[] if placement is None else placement.unable,
        waits_for=None if placement is None else placement.waits_for,
        created_at=moment(row.created_at),
    )


class PlacementOf(NamedTuple):
    """Which workers cannot run a study, and why none of those that call fits it; None where one does."""

    unable: list[messages.Unable]
    waits_for: str | None


def unable(row: UnableRow) -> messages.Unable:
    return messages.Unable(study=row.study, worker=row.worker, reason=row.reason, count=row.count, at=moment(row.at))


def space_revision(row: RevisionRow) -> messages.SpaceRevision:
    return messages.SpaceRevision(
        revision=row.revision,
        space=space_of(row),
        constraints=row.constraints,
        added=row.added,
        seq=row.seq,
        created_at=moment(row.created_at),
    )


def best_trial(rows: list[TrialRow], replicates: int) -> messages.BestTrial:
    """The complete trials of a group as one: the mean of its values, and of each metric that all of them have."""
    first = rows[0]
    values = [row.value for row in rows if row.value is not None]
    values_spread = spread(values)
    return messages.BestTrial(
        number=first.number,
        value=values_spread.mean,
        params=first.params | (first.live_overrides or {}),
        metrics={name: mean([row.metrics.get(name) for row in rows]) for name in first.metrics},
        replicates=None
        if replicates == 1
        else messages.Replicates(
            numbers=[row.number for row in rows], values=values, standard_error=values_spread.standard_error
        ),
    )


def desired_of(row: TrialRow) -> messages.Desired:
    """The trial's desired state; version 0 while nobody has requested a change."""
    return messages.Desired() if row.desired is None else messages.Desired.model_validate(row.desired)


def version_of(of: StudyRow, row: TrialRow) -> Version:
    """The version that `If-Match` is compared with. A trial that nobody has steered has the floor of its study, so that
    an earlier study of this name had another one."""
    return Version(desired_of(row).version or of.version_floor)


def budget_of(row: StudyRow) -> messages.Budget:
    """The study's budget, from its columns."""
    return messages.Budget.model_validate({"max_trials": row.max_trials} | (row.limits or {}))


def trial(study_name: str, row: TrialRow, dataset: Json | None = None) -> messages.Trial:
    return messages.Trial(
        study=study_name,
        number=row.number,
        state=row.state,
        mode=row.mode,
        params=row.params | (row.live_overrides or {}),
        seed=row.seed,
        attempt=row.attempt,
        value=row.value,
        guess=row.predicted_value,
        metrics=row.metrics,
        step=row.step,
        where=row.location,
        error=row.error,
        worker=row.worker,
        parent=_parent(row),
        invalid=_invalid(row),
        drawn=_drawn(row),
        group=row.group_number,
        desired=None if row.desired is None else desired_of(row),
        applied_version=row.applied_version,
        applied_step=row.applied_step,
        dataset=None if dataset is None else messages.DatasetSummary.model_validate(dataset),
        tags=row.tags,
        notes=row.notes,
        code_version=row.code_version,
        data_version=row.data_version,
        created_at=moment(row.created_at),
        started_at=None if row.started_at is None else moment(row.started_at),
        finished_at=None if row.finished_at is None else moment(row.finished_at),
    )


def _drawn(row: TrialRow) -> messages.Drawn:
    return messages.Drawn(
        sampler=row.sampler, basis=row.basis_seq, revision=row.revision, numerics=row.numerics, **row.drawn
    )


def _parent(row: TrialRow) -> messages.Parent | None:
    if row.parent_number is None or row.parent_step is None:
        return None
    return messages.Parent(number=row.parent_number, step=row.parent_step)


def _invalid(row: TrialRow) -> messages.Invalid | None:
    if row.invalid_reason is None or row.invalid_at is None:
        return None
    return messages.Invalid(reason=row.invalid_reason, at=moment(row.invalid_at))


def lease(
    of: StudyRow,
    row: TrialRow,
    stack: int | None = None,
    *,
    resume: messages.Resume | None = None,
    looks: messages.Looks | None = None,
) -> messages.Lease:
    assert row.lease_us is not None
    return messages.Lease(
        study=of.name,
        number=row.number,
        fence=row.fence,
        attempt=row.attempt,
        seed=row.seed,
        params=row.params,
        mode=row.mode,
        task=_task(of),
        needs=messages.Needs.model_validate(of.needs or {}),
        lease_s=row.lease_us / 1e6,
        desired=desired_of(row),
        resume=resume,
        looks=looks,
        stack=stack,
    )


def new_leases(of: StudyRow, given: Sequence[tuple[Json, int | None, messages.Looks | None]]) -> list[messages.Lease]:
    """Of new trials, from the columns that were written of each, with its stack and where the rule looks."""
    task, needs, undesired = _task(of), messages.Needs.model_validate(of.needs or {}), messages.Desired()
    return [
        messages.Lease(
            study=of.name,
            number=row["number"],
            fence=row["fence"],
            attempt=row["attempt"],
            seed=row["seed"],
            params=row["params"],
            mode=row["mode"],
            task=task,
            needs=needs,
            lease_s=row["lease_us"] / 1e6,
            desired=undesired,
            looks=looks,
            stack=stack,
        )
        for row, stack, looks in given
    ]


def _task(of: StudyRow) -> Json | None:
    """All that a worker needs beside the sampled parameters: the study's task with `fixed` merged in, and by what
    the best epoch is chosen, and whether its score is told or the last one's."""
    if of.task is None:
        return None
    task = {name: value for name, value in of.task.items() if name != "fixed"}
    fixed: Json = of.task.get("fixed", {})
    source = {} if of.source_study_id is None else {"start_from_study": of.source_study_id}
    return task | fixed | {"metric": of.metric, "direction": of.direction, "reduce": of.reduce} | source


def reported_metrics(row: ReportRow, *, left: bool = False) -> messages.ReportedMetrics:
    """left: the report counts no more, since a rollback or a later run has made it void."""
    return messages.ReportedMetrics(
        step=row.step,
        epoch=row.epoch,
        metrics=row.metrics,
        fence=row.fence,
        leg=row.rollback_generation,
        left=left,
        at=moment(row.at),
    )


def late_result(row: LateRow) -> messages.LateResult:
    return messages.LateResult(
        id=row.id,
        number=row.number,
        fence=row.fence,
        kind=row.kind,
        body=row.body,
        at=moment(row.at),
        actor=row.actor,
        actor_token=row.actor_token,
    )


def steered(row: TrialRow) -> messages.Steered:
    return messages.Steered(
        state=row.state,
        desired=desired_of(row),
        applied_version=row.applied_version,
        applied_step=row.applied_step,
    )


def timeline_entry(row: EntryRow) -> messages.TimelineEntry:
    return messages.TimelineEntry(
        version=row.version,
        verb=row.verb,
        params=row.params,
        from_step=row.from_step,
        restore=row.restore,
        actor=row.actor,
        actor_token=row.actor_token,
        reason=row.reason,
        guard=None if row.guard is None else messages.Guard.model_validate(row.guard),
        checkpoint=row.checkpoint,
        state=row.state,
        at=moment(row.at),
        applied_at=None if row.applied_at is None else moment(row.applied_at),
    )


def proposal(row: ProposalRow) -> messages.Proposal:
    return messages.Proposal(
        id=row.id,
        policy=row.policy,
        params=row.params,
        restore=row.restore,
        reason=row.reason,
        step=row.step,
        state=row.state,
        version=row.version,
        at=moment(row.at),
    )


def checkpoint(row: CheckpointRow) -> messages.Checkpoint:
    return messages.Checkpoint(
        step=row.step,
        epoch=row.epoch,
        value=row.value,
        sha256=row.sha256,
        size=row.size,
        version=row.version,
        pinned=row.pinned,
        lost=not row.is_whole,
        created_at=moment(row.created_at),
    )


def worker(
    row: WorkerRow, running: int, gone: bool, cannot_run: Sequence[UnableRow], holds: Sequence[tuple[str, int]]
) -> messages.Worker:
    """running: how many trials it runs; holds: which ones. gone: it has not called for a while."""
    return messages.Worker(
        name=row.name,
        first_seen_at=moment(row.first_seen_at),
        last_seen_at=moment(row.last_seen_at),
        slots=row.slots,
        running=running,
        drain=row.drain,
        gone=gone,
        unable=[unable(one) for one in cannot_run],
        holds=[messages.TrialName(study=study, number=TrialNumber(number)) for study, number in holds],
        **(row.offer or {}),
    )


def event(row: EventRow) -> messages.Event:
    return messages.Event(
        id=row.id,
        number=row.number,
        kind=row.kind,
        detail=row.detail,
        at=moment(row.at),
        actor=row.actor,
        actor_token=row.actor_token,
    )
