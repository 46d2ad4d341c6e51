"""Challengers: at an alarm branches of the incumbent try other answers; after some portions the best goes on.

A challenge is an event with the trials that take part, and another one says how it ended: nothing else is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.services import lookup
from server.services.panda import branches
from server.services.runs import desired_state
from server.services.runs.curve import StoredCurve
from server.services.runs.resume import newest_checkpoint
from server.services.transactions import Scope
from server.store import events, timeline
from server.store.engine import Transaction
from server.store.events import EventRow
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import Problem
from sturgeon.messages import DriftPolicy
from sturgeon.states import TERMINAL

BEGUN, DECIDED, SKIPPED = "challenge", "challenge_decided", "challenge_skipped"


def is_watched(study: StudyRow) -> bool:
    """Whether a report may begin or decide a challenge: then the study's row is to be locked."""
    return any(policy.get("policy") == "drift" and policy.get("challengers") for policy in study.policies or [])


def begin(scope: Scope, row: TrialRow, policy: DriftPolicy, answer: Mapping[str, Any], at: tuple[int, int]) -> None:
    """Fork the policy's challengers from the newest checkpoint: the answer, with other values each.

    at: the step and the number of the portion of the alarm. There is one challenge at a time. What keeps it from
    beginning is written as an event. The study's row is locked.
    """
    tx, study, now = scope.tx, scope.study, scope.now
    if _open(tx, study) is not None:
        return
    step, portion = at
    checkpoint = newest_checkpoint(tx, row)
    wanted = [dict(answer) | challenger for challenger in policy.challengers]
    with scope.attempt(SKIPPED, row.number, portion=portion), scope.tx.savepoint():
        if checkpoint is None:
            raise Problem(f"Trial {row.number} has no checkpoint to fork challengers from.")
        made = branches.make_branches(scope, row, checkpoint, wanted, raise_budget=False)
        detail = {"step": step, "portion": portion, "portions": policy.after_portions}
        numbers = [trial.number for trial in made]
        events.insert(tx, study.id, BEGUN, now, row.number, challengers=numbers, params=wanted, **detail)


def answered_until(tx: Transaction, study: StudyRow, row: TrialRow) -> int:
    """The step of the alarm that a challenger was forked for: it answers that one already; -1 for other trials."""
    if row.parent_number is None or not is_watched(study):
        return -1
    # It was made in the transaction that wrote the event.
    challenges = events.at(tx, study.id, BEGUN, row.created_at)
    own = [challenge for challenge in challenges if row.number in challenge.detail["challengers"]]
    return max((challenge.detail["step"] for challenge in own), default=-1)


def decide(scope: Scope) -> None:
    """When all who take part have been measured on so many portions after the alarm: the best goes on, the others stop.

    A trial that ended before that is out. The rows of the study and of all that take part are locked.
    """
    tx, study = scope.tx, scope.study
    challenge = _open(tx, study)
    if challenge is None:
        return
    first = challenge.detail["portion"] + 1
    wanted = range(first, first + challenge.detail["portions"])
    locked = lookup.lock_trials(tx, study, _members(challenge))
    rows = [locked[number] for number in _members(challenge)]
    # All that take part go on from the checkpoint of the challengers, or from a step that they went back to since.
    since = min(row.parent_step or 0 for row in rows[1:])
    errors = {row.number: _errors(tx, study, row, wanted, (since, challenge.at)) for row in rows}
    waiting = [row for row in rows if row.state not in TERMINAL and len(errors[row.number]) < len(wanted)]
    if waiting:
        return
    # The incumbent comes first: of equals it goes on.
    measured = [row for row in rows if len(errors[row.number]) == len(wanted)]
    means = {row.number: sum(errors[row.number]) / len(wanted) for row in measured}
    best = min(means, key=lambda number: means[number], default=None)
    result = f"trial {best} had the least mean fresh error" if best is not None else "no trial came so far"
    reason = f"After {len(wanted)} portions {result}."
    detail = {"challenge": challenge.id, "best": best, "errors": {str(n): mean for n, mean in means.items()}}
    with tx.savepoint():
        events.insert(tx, study.id, DECIDED, scope.now, challenge.number, reason=reason, **detail)
        for row in rows:
            if best is not None and row.number != best and row.state not in TERMINAL:
                desired_state.request_change(tx, row, "policy", run="stop", actor="policy:drift", reason=reason)


def members_of_open(tx: Transaction, study: StudyRow) -> set[int]:
    """The numbers of all trials that take part in a challenge that is not decided."""
    challenge = _open(tx, study)
    return set() if challenge is None else set(_members(challenge))


def _members(challenge: EventRow) -> list[int]:
    assert challenge.number is not None
    return [challenge.number, *challenge.detail["challengers"]]


def _open(tx: Transaction, study: StudyRow) -> EventRow | None:
    """The challenge that is not decided; there is one at a time, so only the newest may be."""
    newest_of = events.newest(tx, study.id, (BEGUN, DECIDED))
    begun, decided = newest_of.get(BEGUN), newest_of.get(DECIDED)
    is_decided = begun is not None and decided is not None and decided.detail["challenge"] == begun.id
    return None if is_decided else begun


def _errors(tx: Transaction, study: StudyRow, row: TrialRow, wanted: range, begun: tuple[int, int]) -> list[float]:
    """The fresh errors of a trial on those of the wanted portions that it has come to. `begun`: the step and the time
    of the challenge's beginning; the trial may have gone back to an earlier step since."""
    since, at = begun
    restore = timeline.least_restore_since(tx, row.id, at) if row.desired is not None else None
    by_portion: dict[float | None, float | None] = {}
    for report in StoredCurve(tx, study, row).after(since if restore is None else min(since, restore)):
        portion = report.metrics.get("portion")
        if portion is not None and portion >= wanted.stop:
            break
        by_portion[portion] = report.metrics.get("fresh_error")
    errors = [by_portion.get(float(portion)) for portion in wanted]
    return [error for error in errors if error is not None]
