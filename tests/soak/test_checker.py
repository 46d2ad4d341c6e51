"""The checker finds each kind of broken promise in a small history, and none where all were kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from tests.soak.case import CLOCK_STEP_S, Case
from tests.soak.checker import longest_pause_s, violations
from tests.soak.faults import RECOVERY_S, PastFault
from tests.soak.history import Try
from tests.soak.record import Record

BEGAN = 1_767_268_800.0
PARAMS = {"x": 0.5}
CHECKPOINT = sha256(b"state").hexdigest()


def one_try(request: str, op: str, at: float, answer: dict[str, Any] | None, **fields: Any) -> Try:
    """An acknowledged request about trial 0 of the study, a moment long."""
    times = {"sent": BEGAN + at, "answered": BEGAN + at + 0.1}
    body = fields.pop("body", {})
    told = {"client": "c0", "study": "bowl", "number": 0, "fence": None, "status": 200, **times, **fields}
    return Try(request=request, op=op, body=body, answer=answer, **told)


def at(seconds: float) -> int:
    """A time of the database."""
    return round((BEGAN + seconds) * 1_000_000)


def history() -> list[Try]:
    """Trial 0 is leased twice, since its first holder was slow; the second tells its end. Trial 1 is cancelled."""
    end = {"number": 0, "state": "complete", "value": 0.1, "metrics": {"loss": 0.1}, "step": None}
    report, late = {"step": 1, "metrics": {"loss": 0.3}}, {"step": 2, "metrics": {"loss": 0.3}}
    return [
        one_try("a", "ask", 1, leases(0, 1), number=None),
        one_try("b", "report", 2, {}, fence=1, body={"reports": [report]}),
        one_try("c", "ask", 3, leases(0, 2), number=None),
        one_try("d", "report", 4, {"code": "lease_lost"}, fence=1, status=409, body={"reports": [late]}),
        one_try("e", "report", 5, {}, fence=2, body={"reports": [report]}),
        one_try("f", "checkpoint", 6, {"step": 1, "sha256": CHECKPOINT}, fence=2, body={"step": 1}),
        one_try("g", "tell", 7, None, fence=2, status=None, answered=None),
        one_try("g", "tell", 8, end, fence=2),
        one_try("h", "read", 9, end),
        one_try("i", "enqueue", 10, {"number": 1}, number=None, body={"params": PARAMS}),
        one_try("j", "cancel", 11, {"number": 1, "state": "cancelled"}, number=1),
        one_try("k", "ask", 12, {"leases": [], "reason": "budget"}, number=None),
    ]


def leases(number: int, fence: int) -> dict[str, Any]:
    return {"leases": [{"study": "bowl", "number": number, "fence": fence, "params": PARAMS}]}


def record() -> Record:
    """What the database holds after that."""
    ended = {"study_id": 1, "params": PARAMS, "invalid_reason": None, "invalid_seq": None}
    report = {"trial_id": 10, "step": 1, "rollback_generation": 0, "metrics": {"loss": 0.3}}
    return Record(
        studies=[{"id": 1, "name": "bowl", "next_number": 2, "max_trials": 2, "limits": None, "seq": 2}],
        trials=[
            ended | {"id": 10, "number": 0, "state": "complete", "fence": 2, "value": 0.1, "metrics": {"loss": 0.1},
                     "left_seq": 1},
            ended | {"id": 11, "number": 1, "state": "cancelled", "fence": 0, "value": None, "metrics": {},
                     "left_seq": 2},
        ],
        reports=[report | {"fence": 1, "at": at(2)}, report | {"fence": 2, "at": at(5 + CLOCK_STEP_S)}],
        space_revisions=[{"study_id": 1, "revision": 0, "seq": 0}],
        checkpoints=[{"trial_id": 10, "step": 1, "sha256": CHECKPOINT, "lost_at": None}],
        events=[
            {"study_id": 1, "number": 1, "kind": "enqueued"},
            {"study_id": 1, "number": 1, "kind": "cancelled"},
        ],
        blobs={CHECKPOINT: CHECKPOINT},
    )  # fmt: skip


def case(tries: list[Try], kept: Record, faults: list[PastFault] | None = None, **more: Any) -> Case:
    return Case(tries, kept, faults, began=BEGAN, ended=BEGAN + 100, **more)


def broken(one: Case) -> list[str]:
    """The promises that the checker finds broken."""
    return sorted({found.promise for found in violations(one)})


def test_nothing_is_found_where_every_promise_was_kept() -> None:
    assert violations(case(history(), record())) == []


def test_an_ask_that_found_no_work_may_be_answered_otherwise_but_not_one_that_did() -> None:
    nothing = {"leases": [], "reason": "waiting"}

    assert broken(case([*history(), one_try("k", "ask", 13, nothing, number=None)], record())) == []
    assert broken(case([*history(), one_try("a", "ask", 13, nothing, number=None)], record())) == [ANSWER]


def change(table: str, place: int, **columns: Any) -> Callable[[Record], None]:
    def plant(kept: Record) -> None:
        getattr(kept, table)[place].update(columns)

    return plant


def remove(table: str, place: int) -> Callable[[Record], None]:
    def plant(kept: Record) -> None:
        del getattr(kept, table)[place]

    return plant


def add(table: str, **columns: Any) -> Callable[[Record], None]:
    def plant(kept: Record) -> None:
        rows = getattr(kept, table)
        rows.append(rows[-1] | columns)

    return plant


LOST, END, BUDGET, FENCE, ANSWER, CHECKPOINTS, STATUS, PROGRESS, WHOLE = (
    "no acknowledged write is lost",
    "a trial has one end, which never changes",
    "the budget is exact",
    "only the current fence writes",
    "a request has one answer",
    "checkpoints are whole",
    "no 5xx but 503 while a fault is on",
    f"all goes on within {RECOVERY_S:.0f} s",
    "the database is whole",
)


@pytest.mark.parametrize(
    ("plant", "promise"),
    [
        (remove("reports", 1), LOST),
        (change("reports", 1, metrics={"loss": 0.4}), LOST),
        (remove("checkpoints", 0), LOST),
        (remove("events", 1), LOST),
        (change("trials", 1, params={"x": 0.6}), LOST),
        (change("trials", 0, value=0.2), END),
        (change("trials", 0, state="diverged"), END),
        (change("trials", 0, left_seq=3), END),
        (change("studies", 0, seq=3), END),
        (change("trials", 1, left_seq=1), END),
        (add("events", kind="failed"), END),
        (add("trials", id=12, number=2, state="queued", left_seq=None), BUDGET),
        (change("studies", 0, max_trials=1), BUDGET),
        (change("studies", 0, max_trials=3), BUDGET),
        (remove("trials", 1), BUDGET),
        (change("reports", 0, at=at(6)), FENCE),
        (change("reports", 0, at=at(6 + 3 * CLOCK_STEP_S)), FENCE),
        (add("reports", fence=3), FENCE),
        (change("checkpoints", 0, sha256="0" * 64), CHECKPOINTS),
        (change("checkpoints", 0, lost_at=1), CHECKPOINTS),
    ],
)
def test_what_is_wrong_in_the_database_is_found(plant: Callable[[Record], None], promise: str) -> None:
    kept = copy.deepcopy(record())
    plant(kept)

    assert promise in broken(case(history(), kept))


@pytest.mark.parametrize(
    ("more", "promise"),
    [
        (one_try("l", "report", 13, {}, fence=1, body={"reports": [{"step": 1, "metrics": {"loss": 0.3}}]}), FENCE),
        (one_try("l", "ask", 13, leases(0, 2), number=None), FENCE),
        (one_try("l", "ask", 13, leases(2, 1), number=None), BUDGET),
        (one_try("a", "ask", 13, leases(0, 3), number=None), ANSWER),
        (one_try("g", "tell", 13, {"code": "lease_lost"}, fence=2, status=409), ANSWER),
        (one_try("l", "read", 13, {"state": "complete", "value": 0.7}), END),
        (one_try("l", "steer", 13, {"desired": {"version": 4}}), LOST),
        (one_try("l", "create", 13, {}, study="gone", number=None), LOST),
        (one_try("l", "read", 13, {}, status=500), STATUS),
        (one_try("l", "read", 13, {}, status=503), STATUS),
        (one_try("l", "read", 13, {}, status=503, retry_after=True), STATUS),
    ],
)
def test_what_a_client_should_not_have_seen_is_found(more: Try, promise: str) -> None:
    assert promise in broken(case([*history(), more], record()))


def test_a_late_answer_to_an_early_request_is_no_old_fence() -> None:
    early = one_try("l", "report", 2.5, {}, fence=1, answered=BEGAN + 20,
                    body={"reports": [{"step": 1, "metrics": {"loss": 0.3}}]})  # fmt: skip

    assert violations(case([*history(), early], record())) == []


@pytest.mark.parametrize("later", [{"step": 2}, {"sha256": "1" * 64}])
def test_an_upload_whose_place_others_have_taken_may_be_refused(later: dict[str, Any]) -> None:
    again = one_try("f", "checkpoint", 13, {"code": "lease_lost"}, fence=2, status=409, body={"step": 1})
    replaced = replace(record(), blobs={CHECKPOINT: CHECKPOINT, "1" * 64: "1" * 64})
    replaced.checkpoints[0].update(later)  # type: ignore[attr-defined]

    assert broken(case([*history(), again], record())) == [ANSWER]
    assert broken(case([*history(), again], replaced)) == []


@pytest.mark.parametrize(("after", "found"), [(1, []), (RECOVERY_S + 2, [STATUS])])
def test_a_503_is_right_while_a_fault_is_on_and_soon_after(after: float, found: list[str]) -> None:
    refused = one_try("l", "read", 12 + after, {}, status=503, retry_after=True)
    faults = [PastFault("server killed", 0, BEGAN + 1, BEGAN + 12)]
    writes = [one_try(f"w{second}", "requeue", second, {}, number=1) for second in range(12, 60)]
    kept = record()
    kept.events.append({"study_id": 1, "number": 1, "kind": "requeued"})

    assert broken(case([*history(), *writes, refused], kept, faults)) == found


def test_a_fault_after_which_nobody_gets_on_is_found() -> None:
    faults = [PastFault("server killed", 0, BEGAN + 20, BEGAN + 30)]
    on_time = one_try("l", "report", 74, {}, fence=2, body={"reports": [{"step": 1, "metrics": {"loss": 0.3}}]})

    assert broken(case(history(), record(), faults)) == [PROGRESS]
    assert broken(case([*history(), on_time], record(), faults)) == []
    assert broken(case([*history(), on_time], record(), faults, worker_studies=frozenset({"bowl"}))) == [PROGRESS]


def test_a_worker_that_has_fallen_silent_is_found() -> None:
    seen = [at(100 - RECOVERY_S + 1), at(100 - RECOVERY_S - 1 + CLOCK_STEP_S)]
    workers = [{"name": f"w{number}", "last_seen_at": when} for number, when in enumerate(seen)]

    found = violations(case(history(), replace(record(), workers=workers)))
    assert [one.what for one in found] == ["w1 has said nothing for 46 s"]


def test_a_torn_file_is_found_unless_a_fault_has_torn_it() -> None:
    torn = replace(record(), blobs={CHECKPOINT: "0" * 64})

    assert broken(case(history(), torn)) == [CHECKPOINTS]
    assert broken(case(history(), torn, damaged=frozenset({CHECKPOINT}))) == []


def test_what_sqlite_says_of_itself_is_told() -> None:
    assert broken(case(history(), replace(record(), integrity="row 7 missing from index"))) == [WHOLE]


def test_the_longest_pause_is_that_between_two_acknowledged_writes() -> None:
    assert longest_pause_s(case(history(), record())) == pytest.approx(100 - 12.1)
