"""The routes of those who run trials: their leases, reports and tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import SupportsFloat

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    as_dict,
    finite,
    given,
    study_path,
    trial_path,
    with_metrics,
)
from sturgeon.states import ToldState
from sturgeon.values import Json


class LeaseRoutes(Connected):
    """Lease trials, and say how they go."""

    def ask(
        self,
        study: str,
        count: int = 1,
        worker: str | None = None,
        lease_s: int | None = None,
        code_version: Mapping[str, object] | None = None,
    ) -> m.Leases:
        """At most `count` trials of this study to run yourself, each leased for `lease_s` seconds (3600).

        code_version: of the code that will run them, as `sturgeon.checkout.code_version()` reads it.
        """
        body: Json = given(count=count, worker=worker, lease_s=lease_s)
        if code_version is not None:
            body["code_version"] = dict(code_version)
        return self._wire.ask(m.Leases, "POST", f"{study_path(study)}/trials:ask", body, once=True)

    def lease(
        self,
        worker: str,
        slots: int = 1,
        wait: float = 0.0,
        stack: int = 1,
        total_slots: int | None = None,
        offer: Mapping[str, object] | None = None,
    ) -> m.Leases:
        """At most `slots` trials of any active study, waiting up to `wait` seconds (0 .. 30; the server may answer
        sooner); or so many stacks of up to `stack` (1 .. 32) trials of one shape. total_slots: with the busy ones, for
        the list of workers. offer: what else the worker has, fields of `LeaseRequest`: kinds, gpus, memory_gb, their
        totals, labels, skip, only."""
        body = {"worker": worker, "slots": slots, "wait": wait} | ({"stack": stack} if stack > 1 else {})
        body |= ({} if total_slots is None else {"total_slots": total_slots}) | dict(offer or {})
        return self._wire.ask(m.Leases, "POST", "/v1/leases", body, once=True, longer_s=wait)

    def renew(self, worker: str, held: Iterable[m.Held | Mapping[str, object]]) -> m.RenewAnswer:
        """Renew all leases of a worker."""
        body = {"worker": worker, "held": [as_dict(one) for one in held]}
        return self._wire.ask(m.RenewAnswer, "POST", "/v1/leases:renew", body)

    def report(
        self,
        study: str,
        number: int,
        fence: int,
        reports: Iterable[m.Report | Mapping[str, object]],
        applied_version: int | None = None,
        applied_step: int | None = None,
        events: Iterable[Mapping[str, object]] = (),
    ) -> m.ReportAnswer:
        """Intermediate metrics, `{"step", "epoch"?, "metrics"}` each, and events, `{"kind", "key", "reason", ...}`;
        renews the lease. NaN becomes null."""
        body: Json = {"fence": fence, "reports": [with_metrics(report) for report in reports]}
        body |= given(applied_version=applied_version, applied_step=applied_step)
        if listed := [dict(event) for event in events]:
            body["events"] = listed
        return self._wire.ask(m.ReportAnswer, "POST", f"{trial_path(study, number)}:report", body)

    def tell(
        self,
        study: str,
        number: int,
        fence: int,
        metrics: Mapping[str, SupportsFloat | None] | None = None,
        state: ToldState = "complete",
        step: int | None = None,
        where: str | None = None,
        error: str | None = None,
        retry: bool = True,
    ) -> m.Trial:
        """The end of a trial. NaN becomes null; a run that diverged is told with `state="diverged"`. A trial that
        failed is tried again, unless `retry` is false."""
        body: Json = {"fence": fence, "state": state, "metrics": finite(metrics or {})}
        body |= given(step=step, where=where, error=error) | ({} if retry else {"retry": False})
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:tell", body)

    def tell_many(self, study: str, tells: Iterable[m.TellOne | Mapping[str, object]]) -> m.TellManyAnswer:
        """The ends of many trials; each has its own outcome in the answer."""
        rows = [with_metrics(tell) for tell in tells]
        return self._wire.ask(m.TellManyAnswer, "POST", f"{study_path(study)}/trials:tell", {"tells": rows})

    def release(
        self, study: str, number: int, fence: int | None, alone: bool = False, unable: str | None = None
    ) -> m.Trial:
        """Give a leased trial back; it runs again elsewhere, and no attempt is spent. `fence`: None takes it from its
        holder, whoever that is. `alone`: without stack peers. `unable`: why this worker can run no trial of the
        study."""
        body = {"fence": fence} | ({"alone": True} if alone else {}) | given(unable=unable)
        return self._wire.ask(m.Trial, "POST", f"{trial_path(study, number)}:release", body, once=fence is None)
