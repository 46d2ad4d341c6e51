"""Whatever a stranger sends: a problem that says what to do, the same on both databases, and never a 5xx."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.studies import NOT_VALID, refusal

SCALE = {"type": "float", "low": 0, "high": 1}
Both = tuple[httpx.Client, httpx.Client]
JSON = {"Content-Type": "application/json"}
BOWL = "/v1/studies/bowl"

PLACES = {
    "a metric": (f"{BOWL}/trials/0:tell", '{"fence": 1, "metrics": {"loss": %s}}'),
    "a reported metric": (f"{BOWL}/trials/0:report", '{"fence": 1, "reports": [{"step": 1, "metrics": {"loss": %s}}]}'),
    "an epoch": (f"{BOWL}/trials/0:report", '{"fence": 1, "reports": [{"step": 1, "epoch": %s, "metrics": {}}]}'),
    "a step": (f"{BOWL}/trials/0:tell", '{"fence": 1, "state": "diverged", "step": %s}'),
    "a fence": (f"{BOWL}/trials/0:release", '{"fence": %s}'),
    "a number of many": (f"{BOWL}/trials:tell", '{"tells": [{"number": %s, "fence": 1, "state": "diverged"}]}'),
    "a given float": (f"{BOWL}/trials", '{"params": {"x": %s, "n": 1}}'),
    "a given int": (f"{BOWL}/trials", '{"params": {"x": 0.5, "n": %s}}'),
    "a count": (f"{BOWL}/trials:ask", '{"count": %s}'),
    "a lease's length": (f"{BOWL}/trials:ask", '{"lease_s": %s}'),
    "a wait": ("/v1/leases", '{"worker": "ada", "wait": %s}'),
    "a held number": ("/v1/leases:renew", '{"worker": "ada", "held": [{"study": "bowl", "number": %s, "fence": 1}]}'),
    "a budget": (
        "/v1/studies",
        '{"name": "bad", "metric": "m", "space": {"x": {"type": "int", "low": 0, "high": 1}},'
        ' "budget": {"max_trials": %s}}',
    ),
    "a seed": ("/v1/space:preview", '{"seed": %s, "space": {"x": {"type": "int", "low": 0, "high": 1}}}'),
    "a float's low": ("/v1/space:preview", '{"space": {"x": {"type": "float", "low": %s, "high": 1}}}'),
    "a float's high": ("/v1/space:preview", '{"space": {"x": {"type": "float", "low": 0, "high": %s}}}'),
    "an int's high": ("/v1/space:preview", '{"space": {"x": {"type": "int", "low": 0, "high": %s}}}'),
    "a step of an int": ("/v1/space:preview", '{"space": {"x": {"type": "int", "low": 0, "high": 1, "step": %s}}}'),
}
"""Where a number belongs; %s stands for what is sent instead."""

NO_NUMBERS = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "400 digits": "1" + "0" * 400,
    "-400 digits": "-1" + "0" * 400,
    "5000 digits": "9" * 5000,
    "true": "true",
    "a string": '"1"',
    "a lone surrogate": '"\\ud800"',
    "a NUL": '"a\\u0000"',
    "an object": "{}",
    "a list in a list": "[[1]]",
    "100,000 lists": "[" * 100_000 + "]" * 100_000,
    "100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "900 lists": "[" * 900 + "]" * 900,
}


def answers(both: Both, method: str, path: str, **request: Any) -> list[httpx.Response]:
    return [http.request(method, path, **request) for http in both]


def refused_alike(both: Both, method: str, path: str, **request: Any) -> tuple[int, str]:
    """The refusal, which is the same on both databases and does not repeat what was sent."""
    on_sqlite, on_postgres = answers(both, method, path, **request)
    assert refusal(on_sqlite) == refusal(on_postgres)
    assert on_sqlite.json() == on_postgres.json()
    assert len(on_sqlite.content) < 10_000
    assert on_sqlite.content.isascii()
    return refusal(on_sqlite)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_number_is_refused_wherever_one_belongs(both_kinds: Both, place: str) -> None:
    path, body = PLACES[place]
    for what, value in NO_NUMBERS.items():
        status, code = refused_alike(both_kinds, "POST", path, content=body % value, headers=JSON)
        assert (status, code) in (*NOT_VALID, (400, "bad_request")), (place, what)


TEXTS = {
    "a title": ("PATCH", BOWL, '{"title": %s}'),
    "a name": (
        "POST",
        "/v1/studies",
        '{"name": %s, "metric": "m", "space": {"x": {"type": "int", "low": 0, "high": 1}},'
        ' "budget": {"max_trials": 1}}',
    ),
    "a worker": ("POST", f"{BOWL}/trials:ask", '{"worker": %s}'),
    "a place": ("POST", f"{BOWL}/trials/0:tell", '{"fence": 1, "state": "diverged", "where": %s}'),
    "an error": ("POST", f"{BOWL}/trials/0:tell", '{"fence": 1, "state": "failed", "error": %s}'),
    "a name of a metric": ("POST", f"{BOWL}/trials/0:tell", '{"fence": 1, "state": "failed", "metrics": {%s: 1}}'),
    "a name of a parameter": ("POST", f"{BOWL}/trials", '{"params": {%s: 1}}'),
    "a name in a space": ("POST", "/v1/space:preview", '{"space": {%s: {"type": "int", "low": 0, "high": 1}}}'),
    "a parent": (
        "POST",
        "/v1/space:preview",
        '{"space": {"x": {"type": "int", "low": 0, "high": 1, "when": {%s: [1]}}}}',
    ),
    "a choice": ("POST", "/v1/space:preview", '{"space": {"x": {"type": "choice", "values": [%s]}}}'),
    "a fixed value": ("POST", "/v1/space:preview", '{"space": {"x": {"type": "fixed", "value": %s}}}'),
    "a type": ("POST", "/v1/space:preview", '{"space": {"x": {"type": %s, "low": 0, "high": 1}}}'),
    "a scale": ("POST", "/v1/space:preview", '{"space": {"x": {"type": "int", "low": 0, "high": 1, "scale": %s}}}'),
    "a data set": (
        "POST",
        "/v1/studies",
        '{"name": "bad", "metric": "dev_error", "space": {"learning_rate": {"type": "float", "low": 0.1, "high": 1}},'
        ' "budget": {"max_trials": 1}, "task": {"kind": "train", "dataset": %s}}',
    ),
    "a field": ("POST", f"{BOWL}/trials:ask", "{%s: 1}"),
}


@pytest.mark.parametrize("place", TEXTS)
def test_text_that_no_database_could_store_is_refused(both_kinds: Both, place: str) -> None:
    method, path, body = TEXTS[place]
    for text in ('"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"' + "a" * 20_000 + '"'):
        sent = {"content": body % text, "headers": JSON}
        assert refused_alike(both_kinds, method, path, **sent) == (422, "invalid"), (place, text[:20])


@pytest.mark.parametrize("method_and_path", ["POST /v1/studies", f"PATCH {BOWL}", f"POST {BOWL}/trials:ask"])
@pytest.mark.parametrize("body", ["[]", "null", '"text"', "1", "true", '[{"name": "bowl"}]'])
def test_a_body_that_is_no_object_is_refused(both_kinds: Both, method_and_path: str, body: str) -> None:
    method, path = method_and_path.split()

    assert refused_alike(both_kinds, method, path, content=body, headers=JSON) == (422, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"count": 1',
        b'{"count": 1}}',
        b"{count: 1}",
        b"{'count': 1}",
        b'{"count": 01}',
        b'{"worker": "\xff"}',
        b'{"worker": "a\nb"}',
        b"\xff\xfe\x00",
        b"\x00",
        b"count=1",
    ],
    ids=str,
)
def test_what_is_not_json_is_malformed(both_kinds: Both, body: bytes) -> None:
    sent = {"content": body, "headers": JSON}

    assert refused_alike(both_kinds, "POST", f"{BOWL}/trials:ask", **sent) == (400, "bad_request")


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded+json",
        "application/problem+json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
        "nonsense",
    ],
)
@pytest.mark.parametrize("path", ["/v1/studies", f"{BOWL}/trials:ask", "/v1/leases", "/v1/space:preview"])
@pytest.mark.fault("L10")
def test_a_body_that_is_not_declared_as_json_is_refused(both_kinds: Both, path: str, kind: str) -> None:
    sent: dict[str, Any] = {"content": b'{"worker": "ada"}', "headers": {"Content-Type": kind}}

    assert refused_alike(both_kinds, "POST", path, **sent) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "number", ["-1", "1.5", "1e3", "one", "0x1", "9" * 5000, "-" + "9" * 5000, "2147483648", "%00", "1%00", "%ff", "٣"]
)
def test_a_trials_number_in_the_path_is_bounded(both_kinds: Both, number: str) -> None:
    for method, suffix in (("GET", ""), ("GET", "/metrics"), ("POST", ":cancel"), ("GET", "/checkpoints")):
        assert refused_alike(both_kinds, method, f"{BOWL}/trials/{number}{suffix}") == (422, "invalid")


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ff", "%ed%a0%80", "a%20b", "-a", ".hidden", "a" * 101, "a'--", "ü"])
def test_a_studys_name_in_the_path_is_a_name(both_kinds: Both, name: str) -> None:
    for method, path in (("GET", f"/v1/studies/{name}"), ("DELETE", f"/v1/studies/{name}?force=true")):
        assert refused_alike(both_kinds, method, path) == (422, "invalid")


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ff", "%ed%a0%80", "a%20b", "a" * 201])
def test_a_workers_name_in_the_path_is_a_name(both_kinds: Both, name: str) -> None:
    assert refused_alike(both_kinds, "POST", f"/v1/workers/{name}:drain") == (422, "invalid")


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/nothing", "/V1/studies", "/v1/studies/bowl/nothing", "/%2e%2e/etc"]
)
def test_an_unknown_address_is_not_found(both_kinds: Both, path: str) -> None:
    assert refused_alike(both_kinds, "GET", path) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/studies", {"GET", "POST"}),
        ("PUT", "/v1/studies/bowl", {"GET", "PATCH", "DELETE"}),
        ("DELETE", "/healthz", {"GET"}),
        ("TRACE", "/v1/studies/bowl/best", {"GET"}),
        ("QUERY", "/v1/studies/bowl/best", {"GET"}),
        ("GET", "/v1/leases", {"POST"}),
        ("GET", f"{BOWL}/trials/0:stop", {"POST"}),
        ("DELETE", f"{BOWL}/trials/0", {"GET", "PATCH"}),
        ("PUT", f"{BOWL}/trials/0/checkpoints/best", {"GET"}),
        ("POST", f"{BOWL}/trials/0/checkpoints/3", {"GET", "PUT"}),
    ],
)
@pytest.mark.fault("L10")
def test_an_unknown_method_is_told_the_known_ones(both_kinds: Both, method: str, path: str, allow: set[str]) -> None:
    assert refused_alike(both_kinds, method, path) == (405, "method_not_allowed")
    assert set(both_kinds[0].request(method, path).headers["allow"].split(", ")) == allow


@pytest.mark.fault("L10")
@pytest.mark.parametrize(("number", "status"), [(3.0, 200), (3.5, 422), ("3", 422), (True, 422), (1e300, 422)])
def test_an_integer_may_be_written_as_json_writes_any_number(both_kinds: Both, number: object, status: int) -> None:
    for http in both_kinds:
        answer = http.post("/v1/space:preview", json={"space": {"x": SCALE}, "examples": number})
        assert answer.status_code == status
        assert status != 200 or len(answer.json()["examples"]) == 3


@pytest.mark.fault("L10")
@pytest.mark.parametrize(
    "body",
    [
        {"space": {"x": {"type": "float", "low": 2, "high": 1}}},
        {"space": {"x": {"type": "fixed", "value": 1}}},
        {"space": {"x": {"type": "choice", "values": [[[[[1]]]], 2]}}},
        {"space": {"x": {"type": "float", "low": 0, "high": 1}}, "constraints": ["0"]},
    ],
)
def test_what_no_schema_forbids_is_a_conflict(both_kinds: Both, body: dict[str, Any]) -> None:
    for http in both_kinds:
        assert refusal(http.post("/v1/space:preview", json=body)) == (409, "contradiction")


def test_the_servers_are_well_after_all_that(both_kinds: Both) -> None:
    for http in both_kinds:
        assert http.get("/readyz").is_success
        assert http.get(f"{BOWL}/trials/0").json()["state"] == "running"
