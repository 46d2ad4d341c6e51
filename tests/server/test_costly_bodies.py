"""Bodies whose reading would take long or much memory: they are refused early, or read where nobody waits for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute

from server.app import create_app
from server.routes import preview as spaces
from server.routes.bodies import MOST_VALUES, SMALL, BodyRoute, more_values
from server.routes.lanes import LARGE
from server.settings import Settings
from tests.processes import DEADLINE_S, wait_until
from tests.server.description import openapi
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

Both = tuple[httpx.Client, httpx.Client]
MOST_PROBLEMS = 1000
MANY = 20_000

pytestmark = pytest.mark.fault("L1")


@pytest.fixture(scope="module")
def routes() -> dict[str, APIRoute]:
    """The routes that take a body, by method and path. Nothing is opened."""
    app = create_app(Settings(database_url="sqlite:///unused.db"))
    api = {f"{next(iter(r.methods))} {r.path}": r for r in every_route(app.routes)}
    return {name: route for name, route in api.items() if route.body_field is not None}


def every_route(routes: Any) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif original := getattr(route, "original_router", None):
            yield from every_route(original.routes)


HUGE = 10**20  # an integer that is no value


def floats(when: Any, count: int) -> dict[str, Any]:
    return {f"p{i}": {"type": "float", "low": 0, "high": 1, "when": when} for i in range(count)}


def study(**fields: Any) -> dict[str, Any]:
    return BOWL | fields


SHAPES: dict[str, tuple[str, Any]] = {
    "conditions with bad values": ("POST /space:preview", {"space": floats({"q": [HUGE] * 200}, 100)}),
    "conditions on many names": (
        "POST /space:preview",
        {"space": floats({f"q{i}": [HUGE] * 10 for i in range(100)}, 20)},
    ),
    "conditions with bad names": ("POST /space:preview", {"space": floats({f"={i}": [1] for i in range(MANY)}, 1)}),
    "too many parameters": ("POST /space:preview", {"space": {f"p{i}": {} for i in range(MANY)}}),
    "bad choices": ("POST /space:preview", {"space": {"x": {"type": "choice", "values": [HUGE] * MANY}}}),
    "a space that is a list": ("POST /space:preview", {"space": [[]] * MANY}),
    "bad metrics": (
        "POST /studies/{study}/trials/{number}:tell",
        {"fence": 1, "metrics": {f"m{i}": "a" for i in range(MANY)}},
    ),
    "bad names of metrics": (
        "POST /studies/{study}/trials/{number}:tell",
        {"fence": 1, "metrics": {f"={i}": 1 for i in range(MANY)}},
    ),
    "bad metrics of many tells": (
        "POST /studies/{study}/trials:tell",
        {"tells": [{"number": 0, "fence": 1, "metrics": {f"m{j}": "a" for j in range(300)}} for _ in range(100)]},
    ),
    "bad metrics of many reports": (
        "POST /studies/{study}/trials/{number}:report",
        {"fence": 1, "reports": [{"step": 1, "metrics": {f"m{j}": "a" for j in range(300)}} for _ in range(100)]},
    ),
    "bad reports": ("POST /studies/{study}/trials/{number}:report", {"fence": 1, "reports": [{}] * 1000}),
    "bad events": (
        "POST /studies/{study}/trials/{number}:report",
        {"fence": 1, "reports": [], "events": [{"kind": 1, "key": 1, "reason": 1, "tests": [0] * 1000}] * 100},
    ),
    "bad leases": ("POST /leases:renew", {"worker": "ada", "held": [{"study": "-", "number": -1, "fence": 0}] * 1000}),
    "bad tags": (
        "PUT /studies/{study}/trials/{number}/errors/tags",
        {"tags": {f"r{i}": [1] * 50 for i in range(MANY)}},
    ),
    "tags that are no text": (
        "PUT /studies/{study}/trials/{number}/errors/tags",
        {"tags": {f"{i}": [1] * 50 for i in range(2000)}},
    ),
    "bad policies": ("POST /studies", study(policies=[{"policy": "plateau", "factor": 7, "lowest": 0}] * 1000)),
    "bad plans": ("POST /studies", study(policies=[{"policy": "schedule", "at": [{"epoch": -1, "params": 1}] * 1000}])),
    "bad challengers": (
        "POST /studies",
        study(policies=[{"policy": "drift", "challengers": [{f"x{i}": HUGE for i in range(MANY)}]}]),
    ),
    "a panda with bad parameters": (
        "POST /studies",
        study(mode="panda", params={f"x{i}": HUGE for i in range(MANY)}) | {"space": None},
    ),
    "a panda of bad parameters": (
        "POST /studies",
        {
            "name": "p",
            "metric": "m",
            "mode": "panda",
            "budget": {"max_trials": 1},
            "params": {f"x{i}": HUGE for i in range(MANY)},
        },
    ),
    "bad fixed parameters": (
        "POST /studies",
        study(task={"kind": "train", "dataset": "iris", "fixed": {f"x{i}": HUGE for i in range(MANY)}}),
    ),
    "bad values that older trials count as having": (
        "PATCH /studies/{study}",
        {"added": {f"x{i}": HUGE for i in range(MANY)}},
    ),
    "unknown fields": ("POST /studies", {f"f{i}": 1 for i in range(MANY)}),
    "bad branches": (
        "POST /studies/{study}/trials/{number}:fork",
        {"branches": [{"params": {f"x{i}": HUGE for i in range(100)}} for _ in range(100)]},
    ),
    "a change of bad parameters": (
        "PATCH /studies/{study}/trials/{number}/params",
        {"params": {f"x{i}": HUGE for i in range(MANY)}},
    ),
    "bad mistakes": (
        "PUT /studies/{study}/trials/{number}/errors",
        {"part": "dev", "examples": 1, "wrong": 1, "categories": [{}] * MANY, "mistakes": [{}] * MANY},
    ),
    "bad gaps": (
        "PUT /studies/{study}/trials/{number}/diagnosis",
        {"errors": {f"e{i}": "a" for i in range(100)}, "gaps": [{}] * MANY},
    ),
}
"""Route and body; none is valid."""


@pytest.mark.parametrize("shape", SHAPES)
def test_no_body_makes_more_problems_than_people_read(routes: dict[str, APIRoute], shape: str) -> None:
    name, body = SHAPES[shape]
    [route] = [route for path, route in routes.items() if path.replace("/v1", "") == name]

    _, problems = route.body_field.validate(body, {}, loc=("body",))  # type: ignore[union-attr]  # `routes` have one

    assert 0 < len(problems) <= MOST_PROBLEMS


LONGEST_HEAD = 60_000  # of the 64 kB that uvicorn takes; a longer one is refused without a problem


def test_no_query_that_is_described_is_too_long_for_a_server() -> None:
    def longest(schema: dict[str, Any]) -> float:
        """In bytes; of text without a pattern a character may take 12, percent-encoded."""
        if schema.get("type") == "array":
            return float(schema["maxItems"] * (longest(schema["items"]) + 100))
        if schema.get("type") != "string" or "enum" in schema or schema.get("format"):
            return 100
        return float(schema.get("maxLength", 300) * (1 if "pattern" in schema else 12))

    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            queries = [one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            assert sum(map(longest, queries)) < LONGEST_HEAD, f"{method} {path}"


PLAIN = {"$ref": "#/components/schemas/PlainJson"}


def test_every_list_and_object_of_a_request_has_a_largest_size() -> None:
    schema = openapi()
    known = schema["components"]["schemas"]
    seen: set[str] = set()
    without: list[str] = []

    def walk(part: Any, where: str) -> None:
        if isinstance(part, list):
            for one in part:
                walk(one, where)
        if not isinstance(part, dict):
            return
        if part.get("title") == "PlainJson" or part.get("additionalProperties") == PLAIN:
            return  # of any form: all its values together are counted
        if (name := str(part.get("$ref", "")).rpartition("/")[2]) and name not in seen:
            seen.add(name)
            walk(known[name], name)
        if part.get("type") == "array" and "maxItems" not in part:
            without.append(f"{where}: {part}")
        free = (
            part.get("type") == "object" and "properties" not in part and part.get("additionalProperties") is not True
        )
        if free and "maxProperties" not in part:
            without.append(f"{where}: {part}")
        for key, one in part.items():
            walk(one, f"{where}/{key}")

    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            walk(operation.get("requestBody"), f"{method} {path}")

    assert len(seen) > 30
    assert without == []


def test_each_route_with_a_body_has_large_ones_validated_in_a_thread(routes: dict[str, APIRoute]) -> None:
    assert len(routes) > 20
    assert [name for name, route in routes.items() if not isinstance(route, BodyRoute)] == []


@pytest.mark.parametrize(("size", "in_a_thread"), [(SMALL + 1000, True), (100, False)])
def test_the_event_loop_validates_small_bodies_alone(
    both_kinds: Both, monkeypatch: pytest.MonkeyPatch, size: int, in_a_thread: bool
) -> None:
    threads: list[str] = []
    validate = BodyRoute._validated

    def noting(route: BodyRoute, body: bytes) -> object:
        threads.append(threading.current_thread().name)
        return validate(route, body)

    monkeypatch.setattr(BodyRoute, "_validated", noting)
    content = json.dumps({"count": 1}) + " " * size

    answer = both_kinds[0].post(
        "/v1/studies/bowl/trials:ask", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 200
    assert [name != "uvicorn" for name in threads] == [True] * in_a_thread


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"space": [' + b"[]," * (MOST_VALUES // 2) + b"[]]}", (413, "too_large")),
        (b'{"space": ' + b"[" * (MOST_VALUES + 1) + b"]" * (MOST_VALUES + 1) + b"}", (413, "too_large")),
        (b'{"space": {' + b",".join(b'"a%d":1' % i for i in range(MOST_VALUES)) + b"}}", (413, "too_large")),
        (b'{"space": "' + b"," * (MOST_VALUES + 1) + b'"}', (422, "invalid")),
        (b'{"space": "' + rb"\"," * (MOST_VALUES + 1) + b'"}', (422, "invalid")),
        (b'{"space": "' + rb"\\" * MOST_VALUES + b'"}', (422, "invalid")),
        (b'{"space": ' + b'"",' * (MOST_VALUES + 1) + b"}", (413, "too_large")),
        (b'{"space": ' + b'"' * (5 * MOST_VALUES) + b"," * (MOST_VALUES + 1) + b"}", (413, "too_large")),
        (b'{"space": [' + b"1," * (MOST_VALUES // 2), (400, "bad_request")),
        (b'{"space": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", (400, "bad_request")),
        (b'{"space": "\xff' + b"a" * SMALL + b'"}', (400, "bad_request")),
        (b"9" * (SMALL + 1), (400, "bad_request")),
    ],
    ids=lambda told: f"{len(told)} bytes" if isinstance(told, bytes) else told[1],
)
def test_a_body_with_too_many_values_is_refused_unread(both_kinds: Both, body: bytes, refused: tuple[int, str]) -> None:
    answer = both_kinds[0].post("/v1/space:preview", content=body, headers={"Content-Type": "application/json"})

    assert refusal(answer) == refused


def test_values_are_counted_outside_of_texts() -> None:
    body = json.dumps({"a": [1, 2, {"b": ',[{"\\'}], "c": "\\"}).encode()

    assert not more_values(body, 6)
    assert more_values(body, 5)


def test_of_large_bodies_one_is_worked_on_while_others_are_served(
    server: RunningServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight at once took 600 MB, and held up everybody else for as long as all of them took."""
    begun: list[str] = []
    end = threading.Event()
    original = spaces.preview

    def slow(*given: Any) -> Any:
        begun.append(threading.current_thread().name)
        assert end.wait(DEADLINE_S)
        return original(*given)

    monkeypatch.setattr(spaces, "preview", slow)
    large = json.dumps({"space": BOWL["space"]}) + " " * LARGE

    def send() -> int:
        return http.post("/v1/space:preview", content=large, headers={"Content-Type": "application/json"}).status_code

    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(send) for _ in range(3)]
        waiting = server.app.state.lanes.large
        wait_until(lambda: len(begun) + waiting.waiting == 3, "all three had come")
        assert len(begun) == 1
        assert http.get("/v1/studies").status_code == 200
        end.set()
        assert [answer.result(DEADLINE_S) for answer in answers] == [200] * 3
    assert len(begun) == 3
