"""Whether what clients were told is written is in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.soak.case import FINAL, Case
from tests.soak.history import Try


def what_was_written(case: Case) -> Iterator[str]:
    """Each acknowledged write, if it is not in the database."""
    for one in case.acknowledged:
        told = f"{one.op} of {one.study}/{one.number} ({one.request})"
        if one.study not in case.study_names.values() and one.op in ("create", *WRITTEN):
            yield f"{told} was acknowledged, and the study is not there"
        elif one.op in WRITTEN and not WRITTEN[one.op](case, one):
            yield f"{told} was acknowledged with {one.answer}, and is not in the database"


def _ask_is_kept(case: Case, one: Try) -> bool:
    for lease in (one.answer or {}).get("leases", ()):
        row = case.trials.get((lease["study"], lease["number"]))
        if row is None or row["params"] != lease["params"] or row["fence"] < lease["fence"]:
            return False
    return True


def _enqueue_is_kept(case: Case, one: Try) -> bool:
    row = case.row(one, (one.answer or {})["number"])
    return row is not None and all(row["params"].get(name) == value for name, value in one.body["params"].items())


def _report_is_kept(case: Case, one: Try) -> bool:
    assert one.number is not None
    assert one.fence is not None
    stored = (
        (report, case.reports.get(((one.study, one.number), one.fence, report["step"]), ()))
        for report in one.body["reports"]
    )
    return all(any(row["metrics"] == report["metrics"] for row in rows) for report, rows in stored)


def _tell_is_kept(case: Case, one: Try) -> bool:
    """Of a run that failed the trial is tried again, so what it has cost is all that stays."""
    row, told = case.row(one), one.answer or {}
    if row is None or row["fence"] < (one.fence or 0):
        return False
    if told["state"] not in FINAL:
        return True
    return (row["state"], row["value"], row["metrics"]) == (told["state"], told["value"], told["metrics"])


def _fork_is_kept(case: Case, one: Try) -> bool:
    return all((one.study, made["number"]) in case.trials for made in (one.answer or {})["items"])


def _has_event(kind: str) -> Callable[[Case, Try], bool]:
    def kept(case: Case, one: Try) -> bool:
        return one.number is not None and kind in case.events[one.study, one.number]

    return kept


def _invalid_is_kept(case: Case, one: Try) -> bool:
    row = case.row(one)
    return row is not None and row["invalid_reason"] is not None


def _steering_is_kept(case: Case, one: Try) -> bool:
    version = (one.answer or {})["desired"]["version"]
    row = case.row(one)
    return row is not None and (version == 0 or (row["id"], version) in case.versions)


def _checkpoint_is_kept(case: Case, one: Try) -> bool:
    """A rule may have dropped it for a later one."""
    row = case.row(one)
    return row is not None and bool(case.newest_checkpoints.get(row["id"], -1) >= one.body["step"])


WRITTEN: Final[Mapping[str, Callable[[Case, Try], bool]]] = {
    "ask": _ask_is_kept,
    "enqueue": _enqueue_is_kept,
    "report": _report_is_kept,
    "tell": _tell_is_kept,
    "cancel": _has_event("cancelled"),
    "requeue": _has_event("requeued"),
    "invalidate": _invalid_is_kept,
    "fork": _fork_is_kept,
    "steer": _steering_is_kept,
    "checkpoint": _checkpoint_is_kept,
}
"""By the name of a client's operation: whether what it wrote is in the record."""
