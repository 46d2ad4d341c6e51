"""A web page of a stranger can neither read nor change anything on a server without a token."""

from __future__ import annotations

import hashlib
import itertools
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from server.settings import Settings
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL, DIGITS, FROM_NO_PAGE, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L6")

Serve = Callable[..., "RunningServer"]


@pytest.fixture
def serve_with(migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> Serve:
    """Start a server with these settings; nothing here depends on the kind of database."""

    def start(**settings: object) -> RunningServer:
        given = {"database_url": migrated_sqlite_url, "checkpoints": tmp_path / "checkpoints", "reap_every_s": 600}
        return serve(Settings(**(given | settings)))  # type: ignore[arg-type]

    return start


@pytest.fixture
def open_server(serve_with: Serve) -> RunningServer:
    """A server without a token, on which trial 0 of bowl runs."""
    server = serve_with()
    server.client.create_study(BOWL)
    server.client.ask("bowl")
    return server


@pytest.fixture
def page(open_server: RunningServer) -> Iterator[httpx.Client]:
    """What sends the headers that it is given, and none that only tools send."""
    with httpx.Client(base_url=open_server.url, trust_env=False, timeout=DEADLINE_S) as http:
        yield http


STEERING = (
    "/v1/studies/bowl/trials/0:cancel",
    "/v1/studies/bowl/trials/0:requeue",
    "/v1/studies/bowl/trials/0:pause",
    "/v1/studies/bowl/trials/0:stop",
    "/v1/studies/bowl/trials/0:resume",
    "/v1/studies/bowl/trials/0:checkpoint",
    "/v1/studies/bowl/trials/0/proposals/1:accept",
    "/v1/studies/bowl/trials/0/proposals/1:dismiss",
    "/v1/workers/curl:drain",
    "/v1/studies",
    "/v1/leases",
    "/v1/leases:renew",
)
SIMPLE = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "TEXT/PLAIN;charset=utf-8",
)


def test_what_any_page_could_send_changes_nothing(open_server: RunningServer, page: httpx.Client) -> None:
    before = page.get("/v1/studies/bowl/trials/0").json()

    for path, kind in itertools.product(STEERING, (None, *SIMPLE)):
        answer = page.post(path, headers={"Content-Type": kind} if kind else {}, content=b"{}" if kind else b"")

        assert refusal(answer) == ((415, "unsupported_media_type") if kind else (403, "forbidden")), (path, kind)
        assert page.get("/v1/studies/bowl/trials/0").json() == before
    assert [study.name for study in open_server.client.studies().items] == ["bowl"]


def test_a_study_is_not_deleted_without_a_header_that_pages_lack(page: httpx.Client) -> None:
    assert refusal(page.delete("/v1/studies/bowl?force=true")) == (403, "forbidden")
    assert page.delete("/v1/studies/bowl?force=true", headers=FROM_NO_PAGE).status_code == 204


def test_a_tool_says_with_one_header_that_it_is_no_page(page: httpx.Client) -> None:
    told = ("Content-Type", "application/json"), ("X-Requested-With", "a"), ("Idempotency-Key", "a"), ("If-Match", "*")

    for header in (*told, ("Authorization", "Bearer x")):
        assert page.post("/v1/studies/bowl/trials/0:checkpoint", headers=[header]).status_code == 202, header


STRANGE = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "0.0.0.0",
    "192.0.2.1:{port}",
    "[::2]",
    "[::",
    "",
    "user@evil.example",
    "evil.example#@127.0.0.1",
    "127.0.0.1@evil.example",
    "1270.0.0.1",
)


def test_a_name_that_was_bent_to_this_machine_leads_nowhere(page: httpx.Client) -> None:
    """DNS rebinding: the page has the server's address under a name of its own."""
    sent = ("GET", "/v1/studies"), ("POST", "/v1/studies"), ("DELETE", "/v1/studies/bowl?force=true")
    open_to_all = "/", "/docs", "/openapi.json", "/healthz", "/metrics", "/static-offline-docs/swagger-ui.css"

    for host in STRANGE:
        strange = FROM_NO_PAGE | {"Host": host.format(port=page.base_url.port)}
        for method, path in (*sent, *(("GET", path) for path in open_to_all)):
            answer = page.request(method, path, headers=strange, json=BOWL if method == "POST" else None)
            assert refusal(answer) == (403, "forbidden"), (host, path)
    assert page.get("/v1/studies/bowl").is_success


def test_an_origin_that_is_no_address_is_refused(page: httpx.Client) -> None:
    for origin in ("http://[", "http://[::1", "http://[x]", "//[", "http://", "null", "[", "http://a@b:c"):
        for method in ("GET", "POST"):
            answer = page.request(method, "/v1/studies", headers={"Origin": origin}, json=BOWL)
            assert refusal(answer) == (403, "forbidden"), origin


OURS = ("127.0.0.1", "127.0.0.1:{port}", "localhost", "LocalHost:{port}", "localhost.", "127.1.2.3", "[::1]:{port}")


def test_every_name_of_the_machine_itself_is_ours(page: httpx.Client) -> None:
    for host in OURS:
        assert page.get("/v1/studies", headers={"Host": host.format(port=page.base_url.port)}).is_success, host


FOREIGN = (
    "https://evil.example",
    "null",
    "http://127.0.0.1",
    "http://localhost:{other}",
    "http://127.0.0.1:{port}.evil.example",
    "file://",
    "",
)


def test_a_page_from_elsewhere_may_not_ask(page: httpx.Client) -> None:
    port = page.base_url.port or 0
    for origin in FOREIGN:
        foreign = FROM_NO_PAGE | {"Origin": origin.format(port=port, other=port + 1)}

        assert refusal(page.get("/v1/studies", headers=foreign)) == (403, "forbidden"), origin
        assert refusal(page.post("/v1/studies", json=BOWL, headers=foreign)) == (403, "forbidden"), origin


def test_a_browser_that_says_whose_page_asks_is_believed(page: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        told = {"Sec-Fetch-Site": site, "Content-Type": "application/json"}

        assert refusal(page.post("/v1/studies/bowl/trials/0:stop", headers=told)) == (403, "forbidden")
        assert page.get("/docs", headers=told).is_success  # a link from elsewhere


def test_the_servers_own_pages_may_steer(page: httpx.Client) -> None:
    own = {"Origin": str(page.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}

    assert page.post("/v1/studies/bowl/trials/0:stop", headers=own).status_code == 202


def test_further_names_are_a_setting(serve_with: Serve) -> None:
    server = serve_with(allowed_hosts="Sturgeon.lan, proxy.example")
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        for name in ("sturgeon.lan", "proxy.example:443", "STURGEON.LAN:8000"):
            behind = {"Host": name, "Origin": f"https://{name.partition(':')[0]}"}
            assert http.post("/v1/studies", json=BOWL, headers=behind).status_code in (201, 409)
        assert http.get("/v1/studies", headers={"Host": "lan"}).status_code == 403
        other = {"Host": "sturgeon.lan", "Origin": "https://evil.example"}
        assert http.get("/v1/studies", headers=other).status_code == 403


def test_a_token_makes_the_name_unimportant(serve_with: Serve) -> None:
    """No page knows it; and a server for many machines has many names."""
    server = serve_with(token=SecretStr("secret"))
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        told = {"Authorization": "Bearer secret", "Host": "sturgeon.example", "Origin": "https://any.example"}
        assert http.get("/v1/studies", headers=told).is_success
        assert http.post("/v1/studies/x/trials/0:stop", headers=told).status_code == 404
        assert http.get("/healthz", headers={"Host": "sturgeon.example"}).is_success


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "application/x-www-form-urlencoded"])
def test_bytes_of_a_checkpoint_come_under_any_type(page: httpx.Client, kind: str | None) -> None:
    page.post("/v1/studies", json=DIGITS)
    fence = page.post("/v1/studies/digits/trials:ask", json={}).json()["leases"][0]["fence"]
    content = b"some bytes"
    query = {"fence": fence, "sha256": hashlib.sha256(content).hexdigest()}

    answer = page.put(
        "/v1/studies/digits/trials/0/checkpoints/1",
        params=query,
        content=content,
        headers={"Content-Type": kind} if kind else {},
    )

    assert answer.status_code == 200


HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


ANSWERS = (
    "/v1/studies",
    "/docs",
    "/",
    "/openapi.json",
    "/healthz",
    "/metrics",
    "/nowhere",
    "/v1/studies/no",
    "/static-offline-docs/swagger-ui.css",
    "/v1/studies/bowl/trials?format=csv",
)


def test_every_answer_tells_browsers_to_be_careful(page: httpx.Client) -> None:
    for path, headers in itertools.product(ANSWERS, ({}, {"Host": "evil.example"})):
        answer = page.get(path, headers=headers)

        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_documentation_works_under_its_policy_without_a_network(page: httpx.Client) -> None:
    answer = page.get("/docs")
    policy = answer.headers["content-security-policy"]

    [inline] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
    linked = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert len(linked) >= 3
    for path in linked:
        assert path.startswith("/")
        assert page.get(path).is_success
    for source in ("script-src 'self'", "connect-src 'self'", "img-src 'self' data:", "style-src 'self'"):
        assert source in policy


@pytest.mark.fault("L10")
@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/studies"), ("POST", "/healthz"), ("QUERY", "/v1/studies")])
def test_what_no_route_takes_is_answered_as_such_without_any_header(page: httpx.Client, method: str, path: str) -> None:
    answer = page.request(method, path)

    assert refusal(answer) == (405, "method_not_allowed")
    assert method not in answer.headers["allow"].split(", ")
