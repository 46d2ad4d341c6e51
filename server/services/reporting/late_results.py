"""What comes under a lost lease: kept as evidence, and counted; it changes nothing."""

from __future__ import annotations

import json

from server.services.transactions import Scope
from server.store import holders, late_results
from server.store.late_results import Kind
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.errors import LeaseLost


def store_late_result(
    scope: Scope, trial: TrialRow, kind: Kind, request: messages.ReportRequest | messages.TellRequest
) -> LeaseLost:
    """Store what came too late, once. The answer is to be raised after the commit.

    What comes under a fence that the trial never had, or had for somebody else, is not stored: it says nothing of this
    trial. So a study that was deleted leaves nothing in the next one of its name, and nobody fills the disk with
    invented fences.
    """
    scope.tx.after_commit(scope.counters.fenced_writes.labels(kind).inc)
    fence = request.fence
    if not holders.was_held(scope.tx, scope.study, trial, fence):
        return LeaseLost(f"Trial {trial.number} was never leased to you under fence {fence}; your {kind} was not kept.")
    body = request.model_dump(mode="json", exclude={"number"})
    late = {"study_id": scope.study.id, "number": trial.number, "fence": fence, "kind": kind, "body": body}
    late_results.insert(scope.tx, late | {"size": len(json.dumps(body)), "at": scope.now})
    quotas = scope.quotas
    late_results.keep_newest(scope.tx, scope.study.id, quotas.late_results, quotas.late_results_size)
    return LeaseLost(
        f"The lease of trial {trial.number} under fence {fence} is lost; your {kind} was kept as a late result and "
        "changed nothing."
    )
