"""One shared token: with it everything, with a wrong one nothing, without one only what tells nothing of studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import Unauthorized
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running import RunningServer

TOKEN = "an open sesame, ñ".replace(" ", "-").replace("ñ", "n")
OPEN = {"/healthz", "/readyz", "/docs", "/openapi.json"}


@pytest.fixture
def guarded(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> Iterator[httpx.Client]:
    """A server that wants the token; nothing in its gate depends on the kind of database."""
    server = serve(
        Settings(
            database_url=migrated_sqlite_url,
            checkpoints=tmp_path / "checkpoints",
            token=SecretStr(TOKEN),
            reap_every_s=600,
        )
    )
    server.client.create_study(BOWL)
    server.client.ask("bowl")
    with httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=DEADLINE_S) as http:
        yield http


def operations(guarded: httpx.Client) -> list[tuple[str, str]]:
    """Method and path of every route that the server documents, and of those that it does not."""
    paths = guarded.get("/openapi.json").json()["paths"]
    documented = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(documented) >= 29
    return [*documented, ("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/nowhere")]


def filled(path: str) -> str:
    for name, value in {
        "study": "bowl",
        "number": "0",
        "step": "1",
        "worker": "ada",
        "proposal": "1",
        "kind": "history",
        "webhook": "1",
        "token": "ada",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    return path


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        "",
        TOKEN,
        f"bearer  {TOKEN}",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xff",
        "Bearer " + "x" * 10_000,
    ],
    ids=lambda header: header[:20],
)
def test_a_wrong_token_is_refused_on_every_route(guarded: httpx.Client, header: str) -> None:
    for method, path in operations(guarded):
        answer = guarded.request(method, filled(path), headers={b"Authorization": header.encode("latin-1").strip()})  # type: ignore[dict-item]
        assert refusal(answer) == (401, "unauthorized"), (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/v1/studies/bowl", headers={"Authorization": f"Bearer {TOKEN}"}).is_success


def test_a_missing_token_is_refused_on_every_route_but_the_open_ones(guarded: httpx.Client) -> None:
    for method, path in operations(guarded):
        answer = guarded.request(method, filled(path))
        if method == "GET" and path in OPEN:
            assert answer.status_code in (200, 307), path
        else:
            assert refusal(answer) == (401, "unauthorized"), (method, path)


def test_what_the_documentation_loads_is_open(guarded: httpx.Client) -> None:
    assert guarded.get("/static-offline-docs/swagger-ui.css").is_success
    assert refusal(guarded.get("/static-offline-docs/../v1/studies")) == (401, "unauthorized")
    assert refusal(guarded.get("/static-offline-docs/%2e%2e/v1/studies"))[0] in (401, 404)


def test_a_large_body_without_the_token_is_not_read(guarded: httpx.Client) -> None:
    answer = guarded.post("/v1/studies", content=b"x" * 9_000_000, headers={"Content-Type": "application/json"})

    assert refusal(answer) == (401, "unauthorized")


def test_the_token_is_in_no_log_and_no_answer(guarded: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    told = [
        guarded.request(method, filled(path), headers={"Authorization": f"Bearer {sent}"}).text
        for method, path in operations(guarded)
        for sent in (TOKEN, TOKEN + "x")
        if method == "GET"
    ]

    assert not any(TOKEN in text for text in told)
    assert TOKEN not in "".join(capfd.readouterr())


def test_the_client_sends_its_token(guarded: httpx.Client) -> None:
    with Client(str(guarded.base_url), token=TOKEN) as client:
        assert [study.name for study in client.studies().items] == ["bowl"]
    for token in ("wrong", None):
        with Client(str(guarded.base_url), token=token) as client, pytest.raises(Unauthorized, match="Authorization"):
            client.studies()


def test_a_token_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")

    assert Settings(token_file=tmp_path / "token").shared_token() == TOKEN
