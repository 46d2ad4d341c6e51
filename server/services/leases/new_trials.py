"""Drawn trials are written: those that are leased at once, and those that wait for stack peers."""

from __future__ import annotations

from server.services import views
from server.services.leases.stacks import DispatchRequest, new_stacks
from server.services.runs import pruning
from server.services.sampling.sampler_pool import DrawRequest
from server.services.transactions import Scope
from server.services.trial_rows import new_trial, replicate_group
from server.store import floors, trials
from server.store import numerics as numerics_rows
from server.store.engine import Transaction
from server.store.json_columns import Json
from sturgeon import messages
from sturgeon.identifiers import Fence, TrialNumber
from sturgeon.search.numerics import numerics
from sturgeon.search.samplers import Sample


def insert_leased(
    scope: Scope,
    request: DrawRequest,
    samples: list[Sample],
    fallback: messages.Fallback | None,
    wanted: DispatchRequest,
    code: Json,
) -> list[messages.Lease]:
    """Write the trials of these samples, whose numbers are taken: those that go out as running, others as queued.
    code: the columns of those that run."""
    study = scope.study
    numerics_rows.record(scope.tx, *numerics())
    replicated = [sample for sample in samples for _ in range(study.replicates)]
    params = [request.view.space.decode(sample.point) for sample in replicated]
    stacks = new_stacks(params, wanted)
    lease = _first_lease(scope.tx, wanted) | code
    no_code: Json = dict.fromkeys(code)
    rows: list[Json] = []
    for place, (sample, decoded, stack) in enumerate(zip(replicated, params, stacks, strict=True)):
        number = TrialNumber(study.next_number + place)
        row = new_trial(study, number, decoded, sample.point, scope.now)
        row |= _origin(request, sample, fallback) | replicate_group(study, number, study.next_number)
        rows.append(row | (no_code if stack is None else lease))
    trials.insert_unread(scope.tx, rows)
    return views.new_leases(
        study,
        [
            (row, stack if wanted.stack > 1 else None, pruning.looks_of(study, study.mode, row["params"]))
            for row, stack in zip(rows, stacks, strict=True)
            if stack is not None
        ],
    )


def _origin(request: DrawRequest, sample: Sample, fallback: messages.Fallback | None) -> Json:
    """The columns that say how a sample was drawn."""
    drawn = sample._asdict() | {"version": request.sampler.version, "fallback": fallback}
    return {
        "sampler": request.sampler.name,
        "drawn": {name: value for name, value in drawn.items() if value is not None and name != "point"},
        "numerics": numerics().fingerprint,
    }


def _first_lease(tx: Transaction, wanted: DispatchRequest) -> Json:
    return {
        "state": "running",
        "fence": Fence(floors.fence(tx) + 1),
        "lease_us": wanted.lease_us,
        "lease_until": tx.steady_now() + wanted.lease_us,
        "worker": wanted.worker,
        "leased_to": tx.actor.leases_as,
        "started_at": tx.now(),
    }
