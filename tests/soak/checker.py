"""Decides whether a service kept its promises, from what clients wrote down and the database afterwards.

Each check is a function of a `Case`, and tells of violations in sentences. `CHECKS` has all of them, by the promises
that they are for.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.soak.case import FINAL, Case, TrialKey
from tests.soak.faults import RECOVERY_S
from tests.soak.history import Json, Try
from tests.soak.record import Row
from tests.soak.writes import WRITTEN, what_was_written

UNCHANGING: Final = ("number", "state", "value", "metrics", "step", "sha256")
"""What the answer to a tell, or to a checkpoint, says again, whatever people wrote of the trial since."""

Check = Callable[[Case], Iterator[str]]


class Violation(NamedTuple):
    promise: str
    what: str


def violations(case: Case) -> list[Violation]:
    return [Violation(promise, what) for promise, check in CHECKS.items() for what in check(case)]


def how_trials_ended(case: Case) -> Iterator[str]:
    """Each trial that has ended twice, or whose end has changed.

    A study numbers all that samplers may see, and a trial's end has one of these numbers. An end that was written over
    another has left a number that nothing has.
    """
    yield from _ends_that_were_told(case)
    again = defaultdict(int)
    taken: dict[int, list[int]] = defaultdict(list)
    for gap in case.record.requeue_gaps:
        key = case.keys[gap["trial_id"]]
        again[key] += 1
        taken[case.trials[key]["study_id"]] += [gap["left_seq"], gap["back_seq"]]
    for key, row in case.trials.items():
        taken[row["study_id"]] += [seq for seq in (row["left_seq"], row["invalid_seq"]) if seq is not None]
        ends = sum(kind in ("cancelled", "failed") for kind in case.events[key])
        if ends > 1 + again[key]:
            yield f"{key} failed or was cancelled {ends} times, and was requeued {again[key]} times"
    for revision in case.record.space_revisions:
        taken[revision["study_id"]] += [revision["seq"]] * (revision["revision"] > 0)
    for study in case.record.studies:
        found = sorted(taken[study["id"]])
        if found != list(range(1, study["seq"] + 1)):
            odd = sorted({*range(1, study["seq"] + 1)} ^ {*found}) or [one for one in found if found.count(one) > 1]
            yield f"of {study['name']}'s sequence up to {study['seq']}, these belong to nothing, or to two: {odd[:10]}"


def _ends_that_were_told(case: Case) -> Iterator[str]:
    """Whoever saw a trial ended for good saw the end that the database has."""
    for one in case.acknowledged:
        seen = one.answer or {}
        row = case.row(one)
        if one.op not in ("tell", "read") or row is None or seen.get("state") not in FINAL:
            continue
        if (row["state"], row["value"]) != (seen["state"], seen["value"]):
            was, now = (seen["state"], seen["value"]), (row["state"], row["value"])
            yield f"{one.study}/{one.number} had ended as {was} in {one.request}, and is {now} now"


def what_was_spent(case: Case) -> Iterator[str]:
    """Each study with a trial too many, or with a number that nothing has; and each that was spent too early."""
    given = defaultdict(set)
    for study, number in [*case.trials, *case.leases]:
        given[study].add(number)
    for row in case.record.studies:
        name, numbers = row["name"], given[row["name"]]
        if numbers != set(range(row["next_number"])):
            odd = sorted(numbers ^ set(range(row["next_number"])))
            yield f"{name} has given out {row['next_number']} numbers, and these are missing or too many: {odd[:10]}"
        if row["next_number"] > row["max_trials"]:
            yield f"{name} may have {row['max_trials']} trials, and has given out {row['next_number']} numbers"
    for one in case.acknowledged:
        budgets = [row for row in case.record.studies if row["name"] == one.study]
        if (one.answer or {}).get("reason") == "budget" and any(
            row["next_number"] < row["max_trials"] and row["limits"] is None for row in budgets
        ):
            yield f"{one.request} was told that the budget of {one.study} was spent, and it was not"


def who_wrote(case: Case) -> Iterator[str]:
    """Each write under a fence that was not the current one, and each fence that was given twice."""
    for key, leases in case.leases.items():
        by_fence = defaultdict(set)
        for fence, one in leases:
            by_fence[fence].add(one.request)
        yield from (
            f"fence {fence} of {key} was given to {sorted(who)}" for fence, who in by_fence.items() if len(who) > 1
        )
    for tries in case.requests.values():
        one = next((one for one in tries if one.is_acknowledged and one.fence is not None), None)
        if one is None or one.number is None:
            continue
        later = [
            fence
            for fence, lease in case.leases.get((one.study, one.number), ())
            if fence > (one.fence or 0) and (lease.answered or 0) < tries[0].sent
        ]
        if later:
            yield f"{one.request}, {one.op} of {one.study}/{one.number} under {one.fence}, was taken after {later}"
    yield from _fences_of_reports(case)


def _fences_of_reports(case: Case) -> Iterator[str]:
    """Also what workers wrote, who keep no history."""
    times: dict[TrialKey, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (key, fence, _step), rows in case.reports.items():
        times[key][fence] += [case.time(row["at"]) for row in rows]
    for key, by_fence in times.items():
        fences = sorted(by_fence)
        if fences[-1] > case.trials[key]["fence"]:
            yield f"{key} has a report under {fences[-1]}, and its fence is {case.trials[key]['fence']}"
        for earlier, later in itertools.pairwise(fences):
            if max(by_fence[earlier]) > min(by_fence[later]):
                yield f"{key} has a report under {earlier} from after one under {later}"


def what_was_answered(case: Case) -> Iterator[str]:
    """Each request that got another answer when it was sent again."""
    for request, tries in case.requests.items():
        first: Try | None = None
        for one in tries:
            if one.status in (None, 503) or (first is None and _hands_out_nothing(one)):
                continue
            if first is None:
                first = one if one.is_acknowledged else None
            elif _said(one) != _said(first) and not _is_dropped_upload(case, first, one):
                yield f"{request}, {one.op} of {one.study}/{one.number}: first {_said(first)}, then {_said(one)}"


def _hands_out_nothing(one: Try) -> bool:
    """An ask that found no work has no effect: sent again, it is another ask."""
    return one.op == "ask" and one.is_acknowledged and not (one.answer or {}).get("leases")


def _is_dropped_upload(case: Case, first: Try, again: Try) -> bool:
    """Whether later checkpoints have taken the place of this one, and who sends it again does not hold the trial any
    more: what would be said of it twice is gone."""
    row = case.row(again)
    if again.op != "checkpoint" or row is None or (again.answer or {}).get("code") != "lease_lost":
        return False
    return (row["id"], again.body["step"], (first.answer or {})["sha256"]) not in case.kept_checkpoints


def _said(one: Try) -> tuple[int | None, Any]:
    """What of an answer does not change: a report's also says what is desired by now."""
    answer = one.answer or {}
    if not one.is_acknowledged or one.op == "report":
        return one.status, answer.get("code")
    if one.op in ("tell", "checkpoint"):
        return one.status, {
            name: answer.get(name) for name in ("number", "state", "value", "metrics", "step", "sha256")
        }
    return one.status, answer


def what_checkpoints_hold(case: Case) -> Iterator[str]:
    """Each checkpoint whose file is torn or gone, but for what a fault did to it."""
    for name, digest in case.record.blobs.items():
        if name != digest and name not in case.damaged:
            yield f"the file {name} holds {digest}"
    newest: dict[int, Row] = {}
    for row in sorted(case.record.checkpoints, key=lambda row: row["step"]):
        if row["sha256"] in case.damaged or row["lost_at"] is not None:
            if row["sha256"] not in case.damaged:
                yield f"{case.keys[row['trial_id']]} lost its checkpoint of step {row['step']}, and no fault did that"
            continue
        newest[row["trial_id"]] = row
        if row["sha256"] not in case.record.blobs:
            yield f"{case.keys[row['trial_id']]} has no file {row['sha256']} for its checkpoint of step {row['step']}"
    for row in newest.values():
        if case.record.blobs.get(row["sha256"], row["sha256"]) != row["sha256"]:
            yield f"the newest checkpoint of {case.keys[row['trial_id']]}, of step {row['step']}, cannot be used"


def how_it_refused(case: Case) -> Iterator[str]:
    """Each 5xx but a 503 with Retry-After in the time of a fault."""
    for one in case.tries:
        if one.status is None or one.status < 500 or one.answered is None:
            continue
        said = f"{one.request}, {one.op} of {one.study}/{one.number}, was answered {one.status}"
        if one.status != 503:
            yield said
        elif not one.retry_after:
            yield f"{said} without Retry-After"
        elif not any(fault.began <= one.answered <= fault.ended + RECOVERY_S for fault in case.faults):
            yield f"{said}, and no fault was on"


def how_it_went_on(case: Case) -> Iterator[str]:
    """Each fault after which clients or workers did not get on in time."""
    clients = sorted(one.answered or 0 for one in case.acknowledged if one.op in WRITTEN)
    workers = sorted(
        case.time(row["at"]) for row in case.record.reports if case.keys[row["trial_id"]][0] in case.worker_studies
    )
    for fault in case.faults:
        if fault.ended + RECOVERY_S > case.ended:
            continue
        for who, times in (("client", clients), ("worker", workers)):
            if who == "worker" and not case.worker_studies:
                continue
            after = bisect_right(times, fault.ended)
            if after == len(times) or times[after] > fault.ended + RECOVERY_S:
                at_s = fault.ended - case.began
                yield f"no {who} wrote anything within {RECOVERY_S:.0f} s after {fault.kind}, {at_s:.0f} s from begin"


def who_is_there(case: Case) -> Iterator[str]:
    """Each worker that has said nothing for as long at the end."""
    for worker in case.record.workers:
        silent_s = case.ended - case.time(worker["last_seen_at"])
        if silent_s > RECOVERY_S:
            yield f"{worker['name']} has said nothing for {silent_s:.0f} s"


def what_sqlite_says(case: Case) -> Iterator[str]:
    if case.record.integrity != "ok":
        yield case.record.integrity


CHECKS: Final[Mapping[str, Check]] = {
    "no acknowledged write is lost": what_was_written,
    "a trial has one end, which never changes": how_trials_ended,
    "the budget is exact": what_was_spent,
    "only the current fence writes": who_wrote,
    "a request has one answer": what_was_answered,
    "checkpoints are whole": what_checkpoints_hold,
    "no 5xx but 503 while a fault is on": how_it_refused,
    f"all goes on within {RECOVERY_S:.0f} s": how_it_went_on,
    "all workers are there at the end": who_is_there,
    "the database is whole": what_sqlite_says,
}


def longest_pause_s(case: Case) -> float:
    """The longest time between two acknowledged writes of clients, whatever fault was on."""
    times = [case.began, *sorted(one.answered or 0 for one in case.acknowledged if one.op in WRITTEN), case.ended]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def counts(tries: list[Try]) -> Json:
    """How many tries got each status, by operation; `lost` for those that nobody answered."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in tries:
        found[one.op]["lost" if one.status is None else str(one.status)] += 1
    return {op: dict(sorted(by_status.items())) for op, by_status in sorted(found.items())}
