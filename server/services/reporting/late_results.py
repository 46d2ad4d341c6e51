"""What comes under a lost lease: kept as evidence, and counted; it changes nothing."""

from __future__ import annotations

from typing import Literal

from server.services.transactions import Scope
from server.store import reports
from sturgeon import messages
from sturgeon.errors import LeaseLost


def store_late_result(
    scope: Scope, number: int, kind: Literal["report", "tell"], request: messages.ReportRequest | messages.TellRequest
) -> LeaseLost:
    """Store what came too late. The answer is to be raised after the commit."""
    reports.insert_late(
        scope.tx,
        {
            "study_id": scope.study.id,
            "number": number,
            "fence": request.fence,
            "kind": kind,
            "body": request.model_dump(mode="json", exclude={"number"}),
            "at": scope.now,
        },
    )
    scope.tx.after_commit(scope.counters.fenced_writes.labels(kind).inc)
    return LeaseLost(
        f"The lease of trial {number} under fence {request.fence} is lost; your {kind} was kept as a late result "
        "and changed nothing."
    )
