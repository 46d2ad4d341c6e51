"""What each method sends, and what it makes of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from sturgeon import Client, errors
from sturgeon import messages as m

NOW = "2026-01-02T03:04:05Z"
TRIAL: dict[str, Any] = {
    "study": "s", "number": 3, "state": "running", "mode": "caviar", "params": {"x": 1}, "seed": 7,
    "attempt": 0, "value": None, "metrics": {}, "step": None, "where": None, "error": None, "worker": "w",
    "parent": None,
    "invalid": None, "drawn": {"sampler": "random", "basis": 0, "revision": 0},
    "created_at": NOW, "started_at": NOW, "finished_at": None,
}  # fmt: skip
STUDY: dict[str, Any] = {
    "name": "s", "title": "", "state": "active", "metric": "loss", "direction": "minimize", "reduce": "last",
    "space": {"x": {"type": "float", "low": 0, "high": 1}}, "search": {"seed": 1}, "pruning": {},
    "budget": {"max_trials": 3}, "task": None, "mode": "caviar", "revision": 0, "counts": {}, "best": None,
    "created_at": NOW,
}  # fmt: skip
LEASES = {"leases": [], "reason": "waiting"}
PAGE: dict[str, Any] = {"items": [], "next_page_token": None}
WORKER = {"name": "w", "first_seen_at": NOW, "last_seen_at": NOW, "slots": 1, "running": 0, "drain": True}
CHECKPOINT = {"step": 40, "epoch": 2, "value": 0.5, "sha256": "0" * 64, "size": 5, "created_at": NOW}
PREVIEW: dict[str, Any] = {"parameters": {}, "examples": []}
REPORTED = {"desired": {"version": 0, "params": {}, "run": "run"}}
RENEWED = {"held": [], "lost": [], "drain": False}
OK = {"status": "ok"}
ROUNDS: dict[str, Any] = {"study": "s", "sampler": "random", "items": []}
IMPORTANCE: dict[str, Any] = {"study": "s", "trials": 0, "rounds": 0, "items": []}
REPLAY: dict[str, Any] = {
    "study": "s", "exact": True, "verdict": "exact", "trials": 0, "given": 0, "fallbacks": {},
    "largest_difference": 0.0, "mismatches": [], "numerics": [],
}  # fmt: skip
HELD: dict[str, Any] = {"study": "s", "number": 3, "fence": 2}

WEBHOOK: dict[str, Any] = {
    "id": 3, "url": "https://h/", "study": None, "events": ["drift"], "failures": 0, "created_at": NOW, "secret": "w"
}  # fmt: skip
DELIVERY: dict[str, Any] = {
    "id": "msg_1", "event": "test", "state": "waiting", "attempts": 0, "status": None, "error": None, "at": NOW
}  # fmt: skip

TOKEN: dict[str, Any] = {
    "name": "ada", "scopes": ["read"], "state": "active", "created_at": NOW, "expires_at": None, "revoked_at": None,
    "last_used_at": None, "token": "sturgeon_x",
}  # fmt: skip

Call = Callable[[Client], Any]
ROUTES: list[tuple[Call, str, Any, Any]] = [
    (lambda c: c.create_study({"name": "s"}), "POST /v1/studies", {"name": "s"}, STUDY),
    (
        lambda c: c.studies(page_size=2, page_token="t"),
        "GET /v1/studies?page_size=2&page_token=t",
        None,
        PAGE,
    ),
    (
        lambda c: c.create_webhook("https://h/", events=["drift"]),
        "POST /v1/webhooks",
        {"url": "https://h/", "study": None, "events": ["drift"]},
        WEBHOOK,
    ),
    (lambda c: c.webhooks(page_size=2), "GET /v1/webhooks?page_size=2", None, PAGE),
    (lambda c: c.delete_webhook(3), "DELETE /v1/webhooks/3", None, None),
    (lambda c: c.test_webhook(3), "POST /v1/webhooks/3:test", None, DELIVERY),
    (lambda c: c.deliveries(3), "GET /v1/webhooks/3/deliveries", None, PAGE),
    (
        lambda c: c.create_token("ada", ["read"], lasts_s=60, studies=["mnist-"]),
        "POST /v1/tokens",
        {"name": "ada", "scopes": ["read"], "lasts_s": 60, "studies": ["mnist-"]},
        TOKEN,
    ),
    (lambda c: c.tokens(page_size=2), "GET /v1/tokens?page_size=2", None, PAGE),
    (lambda c: c.revoke_token("ada@lab"), "DELETE /v1/tokens/ada%40lab", None, None),
    (
        lambda c: c.audit(2, actor="ada", action="study.delete", study="s", since=datetime(2026, 1, 1, tzinfo=UTC)),
        "GET /v1/audit?actor=ada&action=study.delete&study=s&since=2026-01-01T00%3A00%3A00%2B00%3A00&page_size=2",
        None,
        PAGE,
    ),
    (lambda c: c.study("s"), "GET /v1/studies/s", None, STUDY),
    (lambda c: c.patch_study("s", {"state": "paused"}), "PATCH /v1/studies/s", {"state": "paused"}, STUDY),
    (lambda c: c.delete_study("s", force=True), "DELETE /v1/studies/s?force=true", None, None),
    (lambda c: c.delete_study("s"), "DELETE /v1/studies/s", None, None),
    (lambda c: c.best("s", 5), "GET /v1/studies/s/best?k=5", None, {"items": []}),
    (lambda c: c.events("s"), "GET /v1/studies/s/events", None, PAGE),
    (lambda c: c.rounds("s"), "GET /v1/studies/s/rounds", None, ROUNDS),
    (lambda c: c.importance("s"), "GET /v1/studies/s/importance", None, IMPORTANCE),
    (
        lambda c: c.replay("s", page_size=50, page_token="50"),
        "GET /v1/studies/s/replay?page_size=50&page_token=50",
        None,
        REPLAY,
    ),
    (lambda c: c.revisions("s"), "GET /v1/studies/s/revisions", None, PAGE),
    (
        lambda c: c.invalidate("s", 3, "no"),
        "POST /v1/studies/s/trials/3:invalidate",
        {"reason": "no"},
        TRIAL,
    ),
    (lambda c: c.late_results("s"), "GET /v1/studies/s/late-results", None, PAGE),
    (
        lambda c: c.trials("s", state="failed", invalid=False, sort="-value"),
        "GET /v1/studies/s/trials?state=failed&invalid=false&sort=-value",
        None,
        PAGE,
    ),
    (lambda c: c.enqueue("s", {"x": 1}), "POST /v1/studies/s/trials", {"params": {"x": 1}}, TRIAL),
    (
        lambda c: c.ask("s", 2, worker="me", lease_s=60),
        "POST /v1/studies/s/trials:ask",
        {"count": 2, "worker": "me", "lease_s": 60},
        LEASES,
    ),
    (lambda c: c.trial("s", 3), "GET /v1/studies/s/trials/3", None, TRIAL),
    (lambda c: c.trial_metrics("s", 3), "GET /v1/studies/s/trials/3/metrics", None, PAGE),
    (
        lambda c: c.report("s", 3, 2, [{"step": 10, "metrics": {"a": 1}}], applied_version=4, applied_step=9),
        "POST /v1/studies/s/trials/3:report",
        {"fence": 2, "reports": [{"step": 10, "metrics": {"a": 1}}], "applied_version": 4, "applied_step": 9},
        REPORTED,
    ),
    (
        lambda c: c.tell("s", 3, 2, {"a": 1}, step=10),
        "POST /v1/studies/s/trials/3:tell",
        {"fence": 2, "state": "complete", "metrics": {"a": 1}, "step": 10},
        TRIAL,
    ),
    (
        lambda c: c.tell_many("s", [m.TellOne(number=3, fence=2, metrics={"a": 1})]),
        "POST /v1/studies/s/trials:tell",
        {"tells": [{"number": 3, "fence": 2, "metrics": {"a": 1}}]},
        {"items": []},
    ),
    (lambda c: c.release("s", 3, 2), "POST /v1/studies/s/trials/3:release", {"fence": 2}, TRIAL),
    (lambda c: c.requeue("s", 3), "POST /v1/studies/s/trials/3:requeue", None, TRIAL),
    (lambda c: c.cancel("s", 3), "POST /v1/studies/s/trials/3:cancel", None, TRIAL),
    (lambda c: c.checkpoints("s", 3), "GET /v1/studies/s/trials/3/checkpoints", None, PAGE),
    (
        lambda c: c.lease("w", slots=2, wait=30),
        "POST /v1/leases",
        {"worker": "w", "slots": 2, "wait": 30},
        LEASES,
    ),
    (
        lambda c: c.renew("w", [m.Held(**HELD)]),
        "POST /v1/leases:renew",
        {"worker": "w", "held": [HELD]},
        RENEWED,
    ),
    (lambda c: c.workers(), "GET /v1/workers", None, PAGE),
    (lambda c: c.drain_worker("a/b"), "POST /v1/workers/a%2Fb:drain", None, WORKER),
    (
        lambda c: c.preview(STUDY["space"], seed=1),
        "POST /v1/space:preview",
        {"space": STUDY["space"], "seed": 1},
        PREVIEW,
    ),
    (lambda c: c.health(), "GET /healthz", None, OK),
    (lambda c: c.ready(), "GET /readyz", None, OK),
]

KEYED = (
    "PATCH /v1/studies/s",
    "POST /v1/studies",
    "DELETE /v1/studies/s",
    "DELETE /v1/studies/s?force=true",
    "POST /v1/studies/s/trials",
    "POST /v1/studies/s/trials:ask",
    "POST /v1/studies/s/trials/3:requeue",
    "POST /v1/studies/s/trials/3:cancel",
    "POST /v1/studies/s/trials/3:invalidate",
    "POST /v1/leases",
)
REFUSALS = [cls for cls in errors.problem_classes().values() if cls.status != 503]  # 503 is waited for


def client_that_sees(seen: list[httpx.Request], *answers: httpx.Response, token: str | None = None) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers[min(len(seen), len(answers)) - 1]

    return Client("http://server.test/", token, transport=httpx.MockTransport(answer), patience_s=0)


def client_that_gets(answer: httpx.Response) -> Client:
    return client_that_sees([], answer)


@pytest.mark.parametrize(("call", "line", "body", "answer"), ROUTES, ids=[route[1] for route in ROUTES])
def test_each_method_sends_its_route_and_reads_its_answer(call: Call, line: str, body: Any, answer: Any) -> None:
    seen: list[httpx.Request] = []
    client = client_that_sees(seen, httpx.Response(200, json=answer) if answer else httpx.Response(204))

    got = call(client)

    (request,) = seen
    assert f"{request.method} {request.url.raw_path.decode()}" == line
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers.get("Content-Type") == ("application/json" if body else None)
    assert (got is None) == (answer is None)


@pytest.mark.parametrize(("call", "line", "answer"), [(call, line, answer) for call, line, _, answer in ROUTES])
def test_what_would_have_a_second_effect_carries_an_idempotency_key(call: Call, line: str, answer: Any) -> None:
    seen: list[httpx.Request] = []

    call(client_that_sees(seen, httpx.Response(200, json=answer) if answer else httpx.Response(204)))

    assert ("Idempotency-Key" in seen[0].headers) == (line in KEYED)


def test_the_answer_is_the_message_of_the_route() -> None:
    trial = client_that_gets(httpx.Response(200, json=TRIAL)).trial("s", 3)

    assert isinstance(trial, m.Trial)
    assert (trial.number, trial.params, trial.worker) == (3, {"x": 1}, "w")


def test_an_answer_with_a_field_of_a_later_server_is_read() -> None:
    assert client_that_gets(httpx.Response(200, json=TRIAL | {"mood": "fine"})).trial("s", 3).number == 3


def test_the_token_is_sent_as_a_bearer() -> None:
    seen: list[httpx.Request] = []

    client_that_sees(seen, httpx.Response(200, json=OK), token="secret").health()

    assert seen[0].headers["Authorization"] == "Bearer secret"


def test_metrics_of_numpy_are_numbers_and_those_that_are_not_finite_are_null() -> None:
    seen: list[httpx.Request] = []
    client = client_that_sees(seen, httpx.Response(200, json=TRIAL))

    client.tell("s", 3, 2, {"a": np.float32(0.5), "b": float("nan"), "c": float("inf"), "d": None}, "diverged")

    assert json.loads(seen[0].content)["metrics"] == {"a": 0.5, "b": None, "c": None, "d": None}


def test_a_checkpoint_is_sent_raw_with_its_digest_and_comes_back_the_same() -> None:
    seen: list[httpx.Request] = []
    data = bytes(range(256))
    client = client_that_sees(seen, httpx.Response(200, json=CHECKPOINT), httpx.Response(200, content=data))

    stored = client.put_checkpoint("s", 3, 40, data, fence=2, epoch=2, value=0.5)
    again = client.checkpoint("s", 3, 40)

    put = seen[0]
    assert (put.method, put.url.path) == ("PUT", "/v1/studies/s/trials/3/checkpoints/40")
    assert dict(put.url.params) == {
        "fence": "2", "sha256": hashlib.sha256(data).hexdigest(), "epoch": "2", "value": "0.5"
    }  # fmt: skip
    assert put.headers["Content-Type"] == "application/octet-stream"
    assert (put.content, again, stored.step) == (data, data, 40)


def test_all_trials_reads_every_page() -> None:
    seen: list[httpx.Request] = []
    first = httpx.Response(200, json={"items": [TRIAL], "next_page_token": "more"})
    last = httpx.Response(200, json={"items": [TRIAL | {"number": 4}], "next_page_token": None})

    numbers = [trial.number for trial in client_that_sees(seen, first, last).all_trials("s", page_size=1)]

    assert numbers == [3, 4]
    assert [request.url.params.get("page_token") for request in seen] == [None, "more"]


def test_export_gives_lines() -> None:
    seen: list[httpx.Request] = []
    client = client_that_sees(seen, httpx.Response(200, text="number,value\r\n0,0.5\r\n"))

    assert list(client.export("s", "csv", state="complete")) == ["number,value", "0,0.5"]
    assert dict(seen[0].url.params) == {"format": "csv", "state": "complete"}


@pytest.mark.parametrize("cls", REFUSALS, ids=lambda cls: cls.code)
def test_the_class_that_the_server_raised_is_raised(cls: type[errors.Problem]) -> None:
    problem = {
        "title": "No", "status": cls.status, "code": cls.code, "detail": "Write less.",
        "errors": [{"pointer": "/space/x", "detail": "x: too much"}],
    }  # fmt: skip

    with pytest.raises(errors.Problem) as caught:
        client_that_gets(httpx.Response(cls.status, json=problem)).study("s")

    assert type(caught.value) is cls
    assert caught.value.message == "Write less."
    assert caught.value.errors == (errors.FieldProblem("/space/x", "x: too much"),)


def test_a_code_of_a_later_server_is_still_a_problem() -> None:
    problem = {"title": "No", "status": 409, "code": "of_tomorrow", "detail": "Not now."}

    with pytest.raises(errors.Problem, match="Not now"):
        client_that_gets(httpx.Response(409, json=problem)).study("s")


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, text="<html>"), httpx.Response(404, text="<html>"), httpx.Response(302)],
    ids=["page", "not found", "redirect"],
)
def test_a_server_that_is_not_ours_is_recognised(answer: httpx.Response) -> None:
    with pytest.raises(errors.ServerUnreachable, match="not as this version of Sturgeon does"):
        client_that_gets(answer).study("s")


@pytest.mark.parametrize("name", ["a/b", "a?b", "a b", "\u00fc", "..%2f"])
def test_a_name_stays_one_piece_of_the_path(name: str) -> None:
    seen: list[httpx.Request] = []

    client_that_sees(seen, httpx.Response(200, json=STUDY)).study(name)

    assert seen[0].url.raw_path.count(b"/") == 3
    assert not seen[0].url.query
