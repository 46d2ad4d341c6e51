"""What strangers send to a real server on each database: it is refused, takes no memory, and changes nothing."""

from __future__ import annotations

import gzip
import json
import random
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.errors import WATCH
from tests.processes import DEADLINE_S, ServerProcess, wait_until
from tests.server.studies import BOWL, refusal

pytestmark = pytest.mark.xdist_group("hostile")

TOKEN = "an-open-sesame"
LIMIT_MB = 8
JSON = {"Content-Type": "application/json"}
FLOAT = {"type": "float", "low": 0, "high": 1}
ASK = "/v1/studies/bowl/trials:ask"
REPORT = "/v1/studies/bowl/trials/0:report"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this module, which asks for a token, with a study whose trial 0 is leased."""
    folder = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        if request.param == "sqlite":
            template: Path = request.getfixturevalue("migrated_sqlite_file")
            (folder / "sturgeon.db").write_bytes(template.read_bytes())
            url = f"sqlite:///{folder / 'sturgeon.db'}"
        else:
            postgres = request.getfixturevalue("postgres")
            url = postgres.create_database("hostile", request.getfixturevalue("migrated_postgres_template"))
            stack.callback(postgres.drop_database, "hostile")
        env = {
            "STURGEON_DATABASE_URL": url,
            "STURGEON_TOKEN": TOKEN,
            "STURGEON_MAX_BODY_MB": str(LIMIT_MB),
            "STURGEON_REAP_EVERY_S": "600",
            "STURGEON_CLIENT_PATIENCE_S": "1",
        }
        server = ServerProcess(folder, [], env)
        stack.callback(server.kill)
        server.start()
        with http_of(server) as http:
            assert http.post("/v1/studies", json=BOWL).status_code == 201
            assert http.post(ASK, json={"worker": "ada", "lease_s": 3600}).status_code == 200
        yield server


@pytest.fixture(autouse=True)
def watched(process: ServerProcess) -> None:
    """The server outlasts a test, and what it logs counts for each."""
    WATCH.watch(process.log)


def http_of(process: ServerProcess) -> httpx.Client:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.Client(base_url=process.url, headers=headers, trust_env=False, verify=False, timeout=DEADLINE_S)


@pytest.fixture
def http(process: ServerProcess) -> Iterator[httpx.Client]:
    with http_of(process) as http:
        yield http


@pytest.fixture
def connect(process: ServerProcess) -> Iterator[Callable[[], socket.socket]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", process.port), timeout=DEADLINE_S))


def known(http: httpx.Client) -> list[Any]:
    """All that the server tells of the study, but for the time that its trials have run."""
    told = [http.get(f"/v1/studies/bowl{part}").json() for part in ("", "/trials", "/events", "/trials/0/metrics")]
    told[0].pop("spent")
    return [*told, [study["name"] for study in http.get("/v1/studies").json()["items"]]]


def peak_mb(process: ServerProcess) -> float:
    """The most memory that the process has held since `forget_peak`."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def forget_peak(process: ServerProcess) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def head(path: str, framing: str) -> bytes:
    fixed = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    return f"POST {path} HTTP/1.1\r\n{fixed}{framing}\r\n\r\n".encode()


@pytest.mark.fault("L1")
def test_giant_bodies_cost_less_than_twice_the_limit(
    process: ServerProcess, http: httpx.Client, connect: Callable[[], socket.socket]
) -> None:
    """A hundred megabytes, declared or in chunks without an end, a gzip bomb, and the worst of what fits."""
    http.get("/openapi.json")  # what is made once, is made before
    before = known(http)
    forget_peak(process)
    began = peak_mb(process)

    declared = connect()
    declared.sendall(head("/v1/studies", "Content-Length: 100000000"))
    assert declared.recv(12) == b"HTTP/1.1 413"
    endless, sent = connect(), 0
    endless.sendall(head("/v1/studies", "Transfer-Encoding: chunked"))
    while sent < 100_000_000 and not select.select([endless], [], [], 0)[0]:
        endless.sendall(b"40000\r\n" + b" " * 0x40000 + b"\r\n")
        sent += 0x40000
    assert endless.recv(12) == b"HTTP/1.1 413"
    bomb = gzip.compress(bytes(50_000_000))
    answer = http.post("/v1/studies", content=bomb, headers=JSON | {"Content-Encoding": "gzip"})
    assert 400 <= answer.status_code < 500
    for worst in (b"[" * 4_000_000, b'{"a":' * 1_500_000, b"[" + b"{}," * 2_600_000 + b"{}]"):
        assert refusal(http.post("/v1/studies", content=worst, headers=JSON))[0] in (400, 413, 422)

    space = {f"x{place}": FLOAT | {"when": {"y": [{}] * 1000}} for place in range(100)}
    tell = {"number": 0, "fence": 1, "state": "complete", "metrics": dict.fromkeys(map(str, range(300_000)), "no")}
    for path, costly in (("/v1/space:preview", {"space": space}), ("/v1/studies/bowl/trials:tell", {"tells": [tell]})):
        assert refusal(http.post(path, json=costly))[0] in (400, 413, 422)

    grown = peak_mb(process) - began
    assert grown < 2 * LIMIT_MB, f"{grown:.0f} MB"
    assert known(http) == before


BODIES: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"{count: 1}", 400),
    "half of it": (b'{"count": 1', 400),
    "not UTF-8": (b'{"worker": "\xff"}', 400),
    "not unique": (b'{"worker": "ada", "worker": 1}', 422),
    "a deep nest": (b'{"worker": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "NaN": (b'{"lease_s": NaN}', 422),
    "infinity": (b'{"lease_s": 1e999}', 422),
    "a boolean for a number": (b'{"count": true}', 422),
    "a huge integer": (b'{"count": 1' + b"0" * 400 + b"}", 422),
    "NUL": (b'{"worker": "a\\u0000"}', 422),
    "a surrogate": (b'{"worker": "\\ud800"}', 422),
    "right to left": ('{"worker": "a\u202eb"}'.encode(), 422),
    "10 kB": (b'{"worker": "' + b"a" * 10_000 + b'"}', 422),
    "a path": (b'{"worker": "../../etc/passwd"}', 422),
    "SQL": (b'{"worker": "x\'; DROP TABLE trials; --"}', 422),
}
PATHS = ("bowl'; DROP TABLE trials; --", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "bowl\0", "a" * 10_000, "‮bowl")


def test_bodies_and_names_of_strangers_are_refused_and_change_nothing(http: httpx.Client) -> None:
    before = known(http)

    for name, (body, status) in BODIES.items():
        answer = http.post(ASK, content=body, headers=JSON)
        assert refusal(answer)[0] == status, (name, answer.text)
        assert len(answer.content) < 2_000, "what was sent is not repeated"
    for path in PATHS:
        for place in (f"/v1/studies/{quote(path, safe='%')}", f"/static-offline-docs/{quote(path, safe='%')}"):
            assert refusal(http.get(place))[0] in (400, 404, 422), path

    assert known(http) == before


def test_reports_that_come_twice_and_in_any_order_count_once(http: httpx.Client) -> None:
    sent = [step for step in range(1, 9) for _ in range(2)]
    random.Random(1).shuffle(sent)

    def report(step: int, loss: float) -> httpx.Response:
        rows = [{"step": step, "metrics": {"loss": loss}}]
        return http.post(REPORT, json={"fence": 1, "reports": rows})

    assert {report(step, step / 8).status_code for step in sent} == {200}
    assert refusal(report(3, 0.9)) == (409, "report_conflict")
    listed = http.get("/v1/studies/bowl/trials/0/metrics").json()["items"]
    assert [(one["step"], one["metrics"]["loss"]) for one in listed] == [(step, step / 8) for step in range(1, 9)]


def operations(http: httpx.Client) -> list[tuple[str, str]]:
    """Method and address of every route of the description that is not open to all."""
    paths = http.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path.replace("{number}", "0").replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
        if path not in ("/healthz", "/readyz")
    ]


def test_no_route_lets_anybody_in_without_the_token(process: ServerProcess, http: httpx.Client) -> None:
    """Nor with a wrong one, one that is revoked, or one that has expired."""
    made = [
        http.post("/v1/tokens", json={"name": name, "scopes": ["admin"], "lasts_s": lasts_s}).json()["token"]
        for name, lasts_s in (("brief", 1), ("gone", 3600))
    ]
    assert http.delete("/v1/tokens/gone").is_success
    with httpx.Client(base_url=process.url, trust_env=False, verify=False, timeout=DEADLINE_S) as stranger:
        refused = [{}, *({"Authorization": f"Bearer {token}"} for token in (f"{TOKEN}x", *made))]
        wait_until(lambda: stranger.get("/v1/studies", headers=refused[2]).status_code == 401, "it had expired")
        found = operations(stranger)
        assert len(found) > 40
        for method, path in found:
            for headers in refused:
                answer = stranger.request(method, path, headers=headers)
                assert refusal(answer) == (401, "unauthorized"), (method, path)
    assert not any(token in process.output for token in (TOKEN, *made))


def test_a_token_that_only_reads_changes_nothing(process: ServerProcess, http: httpx.Client) -> None:
    before = known(http)
    made = http.post("/v1/tokens", json={"name": "reader", "scopes": ["read"]}).json()["token"]
    headers = {"Authorization": f"Bearer {made}"}
    with httpx.Client(
        base_url=process.url, trust_env=False, verify=False, headers=headers, timeout=DEADLINE_S
    ) as reader:
        assert reader.get("/v1/studies/bowl").is_success
        changes = [(method, path) for method, path in operations(reader) if method != "GET"]
        allowed = [
            (method, path)
            for method, path in changes
            if refusal_or_status(reader.request(method, path)) != (403, "forbidden")
        ]
    assert len(changes) > 30
    assert allowed == [("POST", "/v1/space:preview")], "which changes nothing"
    assert known(http) == before


def refusal_or_status(answer: httpx.Response) -> tuple[int, str]:
    return refusal(answer) if answer.status_code >= 400 else (answer.status_code, "")


@pytest.mark.fault("L8")
def test_who_stops_in_the_middle_is_dropped_and_keeps_nobody_waiting(
    process: ServerProcess, http: httpx.Client, connect: Callable[[], socket.socket]
) -> None:
    large = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10
    half = [head("/v1/studies", "Content-Length: 5000") + b"{", b"GET /healthz HTTP/1.1\r\nHost: loc"]
    forget_peak(process)
    began = peak_mb(process)
    slow = [connect() for _ in range(60)]
    for place, one in enumerate(slow):
        one.sendall([*half, large][place % 3])

    assert json.loads(http.get("/v1/studies/bowl").content)["name"] == "bowl"

    for one in slow:  # those that do not read are dropped, as soon as what lies in the sockets is read
        with suppress(ConnectionError):
            while one.recv(1_000_000):
                pass
    assert peak_mb(process) - began < 60
