"""A method for each route of the server.

    with Client("http://127.0.0.1:8000") as client:
        lease = client.ask("bowl").leases[0]
        client.tell("bowl", lease.number, lease.fence, {"loss": loss(**lease.params)})

Methods answer the models of `sturgeon.messages` and raise the classes of `sturgeon.errors`:
`ServerUnreachable` if no answer came, and the `Problem` that the server raised if it refused. All calls are
safe to repeat: those whose second effect would be another carry an Idempotency-Key, the others have the same effect
once or twice.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import BinaryIO, Final, Literal, Self, SupportsFloat
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from sturgeon import messages as m
from sturgeon.client.wire import Patience, Wire
from sturgeon.replays import joined
from sturgeon.space import Space
from sturgeon.states import ToldState, TrialState
from sturgeon.values import Json

Body = BaseModel | Mapping[str, object]
LEFT_OUT: Final = b"\n.. left out ..\n"
_Scalar = str | int | float | bool | None


class Client:
    """A server's routes as methods; use it from any number of threads, and close it (or use `with`).

    Args:
        base_url: for example `http://127.0.0.1:8000`, with or without `/v1`; another path behind it is kept.
        token: the server's shared token, if it has one.
        transport: an httpx transport instead of the network, for tests.
        timeout: seconds to wait for one answer, beyond the wait that a call asks for.
        patience_s: seconds during which a call is tried again while the server is away.
        sleep, clock, uniform: seconds to sleep, a monotonic clock in seconds, a number in [0, 1), for tests.

    Raises: ServerUnreachable (the address is not valid), Unauthorized (the token cannot be sent).
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
        patience_s: float = 30.0,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        patience = Patience(patience_s, sleep, clock, uniform)
        self._wire = Wire(base_url, token, transport, timeout, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a call that waits in another thread ends with ServerUnreachable."""
        self._wire.close()

    def with_patience(self, patience_s: float, sleep: Callable[[float], None] = time.sleep) -> Self:
        """The same connections with another patience; `sleep` may raise to end a call that waits."""
        other = copy.copy(self)
        other._wire = self._wire.with_patience(Patience(patience_s, sleep))
        return other

    # --- studies

    def create_study(self, study: m.StudyRequest | Mapping[str, object], dry_run: bool = False) -> m.Study:
        """dry_run: only let the server check it; the answer is what would be created."""
        query = {"dry_run": "true"} if dry_run else None
        return self._wire.ask(m.Study, "POST", "/v1/studies", _as_dict(study), query=query, once=not dry_run)

    def studies(
        self, page_size: int | None = None, page_token: str | None = None, tag: str | None = None
    ) -> m.Page[m.Study]:
        query = _page(page_size, page_token) | _given(tag=tag)
        return self._wire.ask(m.Page[m.Study], "GET", "/v1/studies", query=query)

    def study(self, study: str) -> m.Study:
        return self._wire.ask(m.Study, "GET", _study(study))

    def patch_study(self, study: str, patch: m.StudyPatch | Mapping[str, object]) -> m.Study:
        return self._wire.ask(m.Study, "PATCH", _study(study), _as_dict(patch), once=True)

    def delete_study(self, study: str, force: bool = False) -> None:
        self._wire.send("DELETE", _study(study), query={"force": "true"} if force else {}, once=True)

    def best(self, study: str, k: int = 1) -> m.Best:
        """The `k` best trials, best first."""
        return self._wire.ask(m.Best, "GET", f"{_study(study)}/best", query={"k": k})

    def events(self, study: str, page_size: int | None = None, page_token: str | None = None) -> m.Page[m.Event]:
        return self._wire.ask(m.Page[m.Event], "GET", f"{_study(study)}/events", query=_page(page_size, page_token))

    def rounds(self, study: str) -> m.Rounds:
        """What coarse to fine believed when each of its rounds began: boxes, importance, elites, alarms."""
        return self._wire.ask(m.Rounds, "GET", f"{_study(study)}/rounds")

    def importance(self, study: str) -> m.Importance:
        """Which parameters change the score, the most important first."""
        return self._wire.ask(m.Importance, "GET", f"{_study(study)}/importance")

    def replay(self, study: str, page_size: int | None = None, page_token: str | None = None) -> m.Replay:
        """Derive all samples of the study again from the record. With a size or a token, those of one page of trials,
        100 unless said otherwise."""

        def page(size: int | None, token: str | None) -> m.Replay:
            return self._wire.ask(m.Replay, "GET", f"{_study(study)}/replay", query=_page(size, token))

        pages = [page(page_size, page_token)]
        if page_size is not None or page_token is not None:
            return pages[0]
        while (token := pages[-1].next_page_token) is not None:
            pages.append(page(None, token))
        return joined(pages)

    def revisions(
        self, study: str, page_size: int | None = None, page_token: str | None = None
    ) -> m.Page[m.SpaceRevision]:
        """The spaces that the study had, the oldest first."""
        query = _page(page_size, page_token)
        return self._wire.ask(m.Page[m.SpaceRevision], "GET", f"{_study(study)}/revisions", query=query)

    def late_results(
        self, study: str, page_size: int | None = None, page_token: str | None = None
    ) -> m.Page[m.LateResult]:
        """What came after its lease was lost."""
        query = _page(page_size, page_token)
        return self._wire.ask(m.Page[m.LateResult], "GET", f"{_study(study)}/late-results", query=query)

    # --- trials

    def trials(
        self,
        study: str,
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        tag: str | None = None,
    ) -> m.Page[m.Trial]:
        """One page. `sort` is number, value or finished_at, with `-` in front for the largest first."""
        query = _filters(state, invalid, sort) | _page(page_size, page_token) | _given(tag=tag)
        return self._wire.ask(m.Page[m.Trial], "GET", f"{_study(study)}/trials", query=query)

    def all_trials(
        self,
        study: str,
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
        page_size: int | None = 1000,
    ) -> Iterator[m.Trial]:
        """The trials of all pages."""
        page_token = None
        while True:
            page = self.trials(study, state, invalid, sort, page_size, page_token)
            yield from page.items
            page_token = page.next_page_token
            if page_token is None:
                return

    def export(
        self,
        study: str,
        format: Literal["csv", "ndjson"] = "csv",
        state: TrialState | None = None,
        invalid: bool | None = None,
        sort: str | None = None,
    ) -> Iterator[str]:
        """All trials as lines of text, without line ends, as they arrive."""
        query = {"format": format} | _filters(state, invalid, sort)
        with self._wire.stream(f"{_study(study)}/trials", query) as answer:
            yield from _lines(answer.iter_text())

    def enqueue(self, study: str, params: Mapping[str, object]) -> m.Trial:
        """A trial with parameters that a person gives; it is handed out before new ones are drawn."""
        return self._wire.ask(m.Trial, "POST", f"{_study(study)}/trials", {"params": dict(params)}, once=True)

    def import_trials(self, study: str, trials: Iterable[m.ImportedTrial]) -> m.ImportAnswer:
        """Take over trials that another tool has finished; those that are known by their keys are not taken again."""
        body = m.ImportRequest(trials=list(trials)).model_dump(mode="json")
        return self._wire.ask(m.ImportAnswer, "POST", f"{_study(study)}/trials:import", body)

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
        body: Json = _given(count=count, worker=worker, lease_s=lease_s)
        if code_version is not None:
            body["code_version"] = dict(code_version)
        return self._wire.ask(m.Leases, "POST", f"{_study(study)}/trials:ask", body, once=True)

    def trial(self, study: str, number: int) -> m.Trial:
        return self._wire.ask(m.Trial, "GET", _trial(study, number))

    def patch_trial(self, study: str, number: int, patch: m.TrialPatch | Mapping[str, object]) -> m.Trial:
        """Write its tags and notes."""
        return self._wire.ask(m.Trial, "PATCH", _trial(study, number), _as_dict(patch), once=True)

    def trial_metrics(
        self,
        study: str,
        number: int,
        page_size: int | None = None,
        page_token: str | None = None,
        left: bool = False,
    ) -> m.Page[m.ReportedMetrics]:
        """What the trial reported, in the order of its steps; with `left` also what was before it went back."""
        query = _page(page_size, page_token) | ({"left": "true"} if left else {})
        return self._wire.ask(m.Page[m.ReportedMetrics], "GET", f"{_trial(study, number)}/metrics", query=query)

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
        body: Json = {"fence": fence, "reports": [_with_metrics(report) for report in reports]}
        body |= _given(applied_version=applied_version, applied_step=applied_step)
        if listed := [dict(event) for event in events]:
            body["events"] = listed
        return self._wire.ask(m.ReportAnswer, "POST", f"{_trial(study, number)}:report", body)

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
        body: Json = {"fence": fence, "state": state, "metrics": _metrics(metrics or {})}
        body |= _given(step=step, where=where, error=error) | ({} if retry else {"retry": False})
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:tell", body)

    def tell_many(self, study: str, tells: Iterable[m.TellOne | Mapping[str, object]]) -> m.TellManyAnswer:
        """The ends of many trials; each has its own outcome in the answer."""
        rows = [_with_metrics(tell) for tell in tells]
        return self._wire.ask(m.TellManyAnswer, "POST", f"{_study(study)}/trials:tell", {"tells": rows})

    def release(
        self, study: str, number: int, fence: int | None, alone: bool = False, unable: str | None = None
    ) -> m.Trial:
        """Give a leased trial back; it runs again elsewhere, and no attempt is spent. `fence`: None takes it from its
        holder, whoever that is. `alone`: without stack peers. `unable`: why this worker can run no trial of the
        study."""
        body = {"fence": fence} | ({"alone": True} if alone else {}) | _given(unable=unable)
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:release", body, once=fence is None)

    def requeue(self, study: str, number: int) -> m.Trial:
        """Run a failed or cancelled trial again."""
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:requeue", once=True)

    def invalidate(self, study: str, number: int, reason: str) -> m.Trial:
        """The trial's result counts for nothing from here on; it stays to be seen."""
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:invalidate", {"reason": reason}, once=True)

    def cancel(self, study: str, number: int) -> m.Trial:
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:cancel", once=True)

    def put_checkpoint(
        self,
        study: str,
        number: int,
        step: int,
        data: bytes,
        fence: int,
        epoch: float | None = None,
        value: float | None = None,
        version: int = 0,
        wanted: int = 0,
    ) -> m.Checkpoint:
        """Store a checkpoint; `value`, the study's metric at that step, says which is the best. `version` was in force
        when it was taken; `wanted` is the version that asked for it, if one did."""
        digest = hashlib.sha256(data).hexdigest()
        query = _given(fence=fence, sha256=digest, epoch=epoch, value=value, version=version or None)
        query |= _given(wanted=wanted or None)
        path = f"{_trial(study, number)}/checkpoints/{step}"
        return self._wire.ask(m.Checkpoint, "PUT", path, data, query=query)

    def checkpoints(self, study: str, number: int) -> m.Page[m.Checkpoint]:
        return self._wire.ask(m.Page[m.Checkpoint], "GET", f"{_trial(study, number)}/checkpoints")

    def checkpoint(
        self,
        study: str,
        number: int,
        step: int | Literal["best"],
        study_id: int | None = None,
        most_bytes: float = 4e9,
    ) -> bytes:
        """The bytes of a checkpoint; one with more than `most_bytes` is not read (TooLarge). `study_id`: the
        `start_from_study` of a lease's task, with "best" only."""
        content = io.BytesIO()
        query = _given(study_id=study_id)
        self._wire.download(f"{_trial(study, number)}/checkpoints/{step}", query, content, most_bytes)
        return content.getvalue()

    def download_checkpoint(self, study: str, number: int, step: int | Literal["best"], file: BinaryIO) -> None:
        """Write a checkpoint into an empty file that was opened for bytes; it may be larger than the memory."""
        self._wire.download(f"{_trial(study, number)}/checkpoints/{step}", {}, file, math.inf)

    def put_trial_log(self, study: str, number: int, fence: int, text: str) -> None:
        """All that the present run has printed so far; it replaces what was sent before, and renews the lease. Of more
        than a server takes, the beginning and the end."""
        content = _shortened(text.encode("utf-8", "replace"), m.LARGEST_LOG)
        query, kind = {"fence": fence}, {"Content-Type": "text/plain; charset=utf-8"}
        self._wire.send("PUT", f"{_trial(study, number)}/log", content, query=query, headers=kind)

    def trial_log(self, study: str, number: int, run: Literal["last", "before"] = "last") -> str:
        """What the last run of the trial, or the one before it, has printed."""
        query = {} if run == "last" else {"run": run}
        return self._wire.send("GET", f"{_trial(study, number)}/log", query=query).content.decode()

    # --- steering

    def set_params(
        self,
        study: str,
        number: int,
        params: Mapping[str, object],
        reason: str = "",
        guard: m.Guard | Mapping[str, object] | None = None,
        if_version: int | None = None,
    ) -> m.Steered:
        """Change live parameters of a trial while it trains. `guard`: `{"metric", "worse_by", "within_epochs"}`, else
        back. With `if_version` the change is refused if the desired state has another version by now."""
        body = {"params": dict(params), "reason": reason} | ({} if guard is None else {"guard": _as_dict(guard)})
        return self._steer("PATCH", f"{_trial(study, number)}/params", body, if_version)

    def pause(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run leave a checkpoint and give its slot back."""
        return self._steer("POST", f"{_trial(study, number)}:pause", {"reason": reason}, if_version)

    def resume(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        return self._steer("POST", f"{_trial(study, number)}:resume", {"reason": reason}, if_version)

    def stop(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run finish its epoch and tell its result."""
        return self._steer("POST", f"{_trial(study, number)}:stop", {"reason": reason}, if_version)

    def keep_checkpoint(self, study: str, number: int, reason: str = "", if_version: int | None = None) -> m.Steered:
        """Let the run leave a checkpoint that no rule drops."""
        return self._steer("POST", f"{_trial(study, number)}:checkpoint", {"reason": reason}, if_version)

    def rollback(
        self,
        study: str,
        number: int,
        step: int | None = None,
        params: Mapping[str, object] | None = None,
        reason: str = "",
        if_version: int | None = None,
    ) -> m.Steered:
        """Back to the checkpoint of a step (the newest; 0: the start), and on from there with these parameters."""
        body = {"params": dict(params or {}), "reason": reason} | _given(step=step)
        return self._steer("POST", f"{_trial(study, number)}:rollback", body, if_version)

    def fork(
        self,
        study: str,
        number: int,
        branches: Iterable[Mapping[str, object]],
        step: int | None = None,
        control: bool = True,
        raise_budget: bool = False,
        reason: str = "",
    ) -> list[m.Trial]:
        """A trial for the parameters of each branch, from the checkpoint of a step (the newest); and, last, the
        control: unchanged, with the same seed."""
        body: Json = {
            "branches": [{"params": dict(params)} for params in branches],
            "control": control,
            "reason": reason,
        }
        body |= _given(raise_budget=raise_budget, step=step)
        return self._wire.ask(m.Page[m.Trial], "POST", f"{_trial(study, number)}:fork", body, once=True).items

    def promote(
        self,
        study: str,
        number: int,
        params: Mapping[str, object] | None = None,
        step: int | None = None,
        raise_budget: bool = False,
        reason: str = "",
    ) -> m.Trial:
        """A panda that goes on from the trial's best checkpoint, or from that of a step, with these parameters."""
        body = {"params": dict(params or {}), "raise_budget": raise_budget, "reason": reason} | _given(step=step)
        return self._wire.ask(m.Trial, "POST", f"{_trial(study, number)}:promote", body, once=True)

    def timeline(self, study: str, number: int) -> m.Timeline:
        """What happened to a trial, whose branch it is, and the schedule that its training comes to."""
        return self._wire.ask(m.Timeline, "GET", f"{_trial(study, number)}/timeline")

    def proposals(self, study: str, number: int) -> list[m.Proposal]:
        """What policies would change, the oldest first."""
        return self._wire.ask(m.Page[m.Proposal], "GET", f"{_trial(study, number)}/proposals").items

    def accept(
        self, study: str, number: int, proposal: int, reason: str = "", if_version: int | None = None
    ) -> m.Steered:
        """Do what a policy proposed."""
        path = f"{_trial(study, number)}/proposals/{proposal}:accept"
        return self._steer("POST", path, {"reason": reason}, if_version)

    def dismiss(self, study: str, number: int, proposal: int) -> m.Proposal:
        return self._wire.ask(m.Proposal, "POST", f"{_trial(study, number)}/proposals/{proposal}:dismiss")

    def _steer(self, method: str, path: str, body: Mapping[str, object], if_version: int | None) -> m.Steered:
        headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
        return self._wire.ask(m.Steered, method, path, body, once=True, headers=headers)

    # --- findings

    def put_finding(self, study: str, number: int, kind: m.FindingKind, fence: int, body: Mapping[str, object]) -> None:
        """Upload a finding of a run about its model."""
        self._wire.send("PUT", f"{_trial(study, number)}/{kind}", dict(body), query={"fence": fence})

    def diagnosis(self, study: str, number: int) -> Json:
        """Bias, variance and data mismatch of the trial's model, with what to try next."""
        return self._json(f"{_trial(study, number)}/diagnosis")

    def errors(self, study: str, number: int) -> Json:
        """The misclassified examples with their tags, the table of tags with ceilings, the confusion matrix."""
        return self._json(f"{_trial(study, number)}/errors")

    def tag_errors(self, study: str, number: int, tags: Mapping[str, Sequence[str]]) -> Json:
        """Tag misclassified examples by hand, by their rows; an empty list takes a row's tags back."""
        body = {"tags": {row: list(given) for row, given in tags.items()}}
        answer: Json = self._wire.send("PUT", f"{_trial(study, number)}/errors/tags", body, once=True).json()
        return answer

    def _json(self, path: str) -> Json:
        answer: Json = self._wire.send("GET", path).json()
        return answer

    # --- workers, and around them

    def lease(
        self,
        worker: str,
        slots: int = 1,
        wait: float = 0.0,
        stack: int = 1,
        total_slots: int | None = None,
        offer: Mapping[str, object] | None = None,
    ) -> m.Leases:
        """At most `slots` trials of any active study, waiting up to `wait` seconds (0 .. 30); or so many stacks of
        up to `stack` (1 .. 32) trials of one shape. total_slots: with the busy ones, for the list of workers. offer:
        what else the worker has, fields of `LeaseRequest`: kinds, gpus, memory_gb, their totals, labels, skip, only."""
        body = {"worker": worker, "slots": slots, "wait": wait} | ({"stack": stack} if stack > 1 else {})
        body |= ({} if total_slots is None else {"total_slots": total_slots}) | dict(offer or {})
        return self._wire.ask(m.Leases, "POST", "/v1/leases", body, once=True, longer_s=wait)

    def renew(self, worker: str, held: Iterable[m.Held | Mapping[str, object]]) -> m.RenewAnswer:
        """Renew all leases of a worker."""
        body = {"worker": worker, "held": [_as_dict(one) for one in held]}
        return self._wire.ask(m.RenewAnswer, "POST", "/v1/leases:renew", body)

    def workers(self, page_size: int | None = None, page_token: str | None = None) -> m.Page[m.Worker]:
        return self._wire.ask(m.Page[m.Worker], "GET", "/v1/workers", query=_page(page_size, page_token))

    def drain_worker(self, worker: str) -> m.Worker:
        """Let a worker finish what it runs, take nothing new, and end."""
        return self._wire.ask(m.Worker, "POST", f"/v1/workers/{quote(worker, safe='')}:drain")

    def preview(
        self,
        space: Space | Mapping[str, object],
        seed: int | None = None,
        examples: int | None = None,
        constraints: Sequence[str] = (),
    ) -> m.Preview:
        """Quantiles and examples of a space, before compute is spent on it."""
        body: Json = {"space": _as_dict(space)} | _given(seed=seed, examples=examples)
        if constraints:
            body["constraints"] = list(constraints)
        return self._wire.ask(m.Preview, "POST", "/v1/space:preview", body)

    def health(self) -> m.Health:
        """The process answers."""
        return self._wire.ask(m.Health, "GET", "/healthz")

    def ready(self) -> m.Health:
        """The server can serve: its database is there, with the right schema. Waits for it with patience."""
        return self._wire.ask(m.Health, "GET", "/readyz")

    def counters(self) -> str:
        """What the server counts, in the text format of Prometheus."""
        return self._wire.send("GET", "/metrics").text


def _study(study: str) -> str:
    return f"/v1/studies/{quote(study, safe='')}"


def _trial(study: str, number: int) -> str:
    return f"{_study(study)}/trials/{number}"


def _given(**values: _Scalar) -> dict[str, _Scalar]:
    return {name: value for name, value in values.items() if value is not None}


def _page(page_size: int | None, page_token: str | None) -> dict[str, _Scalar]:
    return _given(page_size=page_size, page_token=page_token)


def _filters(state: str | None, invalid: bool | None, sort: str | None) -> dict[str, _Scalar]:
    return _given(state=state, invalid=invalid, sort=sort)


def _as_dict(body: Body) -> Json:
    return body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else dict(body)


def _with_metrics(body: Body) -> Json:
    plain = _as_dict(body)
    return plain | {"metrics": _metrics(plain.get("metrics", {}))}


def _metrics(metrics: Mapping[str, SupportsFloat | None]) -> dict[str, float | None]:
    """JSON has no NaN and no NumPy: what is not finite becomes null, and each number a float."""
    return {
        name: float(value) if value is not None and math.isfinite(value) else None for name, value in metrics.items()
    }


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    """Split at line feeds alone: httpx's own splits at U+2028 and others too, which a cell of a CSV may have."""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        yield from (line.removesuffix("\r") for line in lines)
    if rest:
        yield rest


def _shortened(text: bytes, most: int) -> bytes:
    """UTF-8 of at most so many bytes: the first quarter and the last three quarters."""
    if len(text) <= most:
        return text
    first, last = most // 4, most - most // 4 - len(LEFT_OUT)
    parts = (text[:first], text[-last:])
    return LEFT_OUT.join(part.decode(errors="ignore").encode() for part in parts)
