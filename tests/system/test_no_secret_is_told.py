"""No token, password or secret stands in a log, an answer, a list of processes, an export or a backup."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from server.settings import Settings
from server.store.engine import Database
from sturgeon.cli.operate import settings_from
from sturgeon.client import Client
from sturgeon.errors import SturgeonError
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from tests.running import RunningServer
from tests.server.tokens import SHARED_TOKEN, guarded_server
from worker.options import WorkerOptions

SHARED: Final = f"shared-{secrets.token_urlsafe(24)}"
PASSWORD: Final = f"password-{secrets.token_hex(8)}"
HOOK: Final = f"hook-{secrets.token_hex(8)}"
WRONG: Final = f"sturgeon_{secrets.token_urlsafe(32)}"
SCRIPT: Final = """
import os
from pathlib import Path

print("environment", dict(os.environ))
for folder in Path("/proc").iterdir():
    if folder.name.isdecimal():
        try:
            print("process", (folder / "cmdline").read_bytes().replace(bytes(1), b" ").decode(errors="replace"))
        except OSError:
            pass
print("loss=0.5")
"""
STUDY: Final = {
    "name": "mine",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": 1},
}


def test_a_service_with_everything_at_debug_tells_no_secret(
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    migrated_postgres_url: str,
    tmp_path: Path,
) -> None:
    database = migrated_postgres_url.replace("@", f":{PASSWORD}@", 1)
    server = server_process(
        STURGEON_DATABASE_URL=database,
        STURGEON_TOKEN=SHARED,
        STURGEON_WEBHOOK_NETWORKS="127.0.0.1",
        STURGEON_LOG_LEVEL="debug",
        STURGEON_REQUEST_LOG="true",
    )
    with Client(server.url, SHARED) as client:
        worker_token = client.create_token("worker-1", ["work"])
        reader = client.create_token("reader", ["read"])
        hook = client.create_webhook(f"http://127.0.0.1:1/{HOOK}")
        (tmp_path / "script.py").write_text(SCRIPT)
        argv = ["python", str(tmp_path / "script.py")]
        task = {"kind": "command", "argv": argv, "metrics": {"lines": {"loss": r"loss=([\d.]+)"}}}
        client.create_study({**STUDY, "task": task})
        worker = worker_process(
            server.url,
            *("--allow-command", "python", "--python", sys.executable, "--log-level", "debug"),
            STURGEON_TOKEN=worker_token.token,
        )
        worker.wait_until(lambda: client.study("mine").state == "completed", "the study was done")
        client.test_webhook(hook.id)
        server.wait_until(lambda: any(one.error for one in client.deliveries(hook.id).items), "a message was sent")
        cookie, answers = answers_to_everybody(server.url, reader.token)
        told = {
            "the log of the server": server.output,
            "the log of the worker": worker.output,
            "what its program has seen": client.trial_log("mine", 0),
            "answers": answers,
            "representations": f"{worker_token!r} {hook!r}",
        }
    assert "/v1/tokens/sturgeon_***" in told["the log of the server"]
    assert "process " in told["what its program has seen"]
    hidden = [SHARED, PASSWORD, WRONG, worker_token.token, reader.token, hook.secret, cookie]
    assert_none_is_told(told, hidden)
    assert_none_is_told({"the log of the server": server.output}, [HOOK])  # the address of a webhook may be secret, too


def answers_to_everybody(url: str, token: str) -> tuple[str, str]:
    """The cookie of a login, and all that is answered to requests that have secrets in right and in wrong places."""
    answers = []
    with httpx.Client(base_url=url, trust_env=False, verify=False, timeout=DEADLINE_S) as http:
        login = http.post("/login", data={"token": token})
        cookie = http.cookies["sturgeon_session"]
        answers += [
            login,
            http.post("/login", data={"token": WRONG}),
            http.get("/workers", headers={"Accept": "text/html"}),
        ]
        http.cookies.clear()
        for sent in (f"Bearer {SHARED}", f"Bearer {WRONG}", f"Basic {SHARED}", f"Bearer {token}"):
            headers = {"Authorization": sent}
            answers += [http.delete(f"/v1/tokens/{one}", headers=headers) for one in (WRONG, token)]
            answers += [
                http.post("/v1/tokens", json={"name": one, "scopes": ["read"]}, headers=headers)
                for one in (WRONG, token)
            ]
            answers += [http.post("/v1/studies", json={"name": {"token": token}}, headers=headers)]
            paths = (
                *(
                    "/v1/tokens",
                    "/v1/webhooks",
                    "/v1/workers",
                    "/v1/studies",
                    "/v1/studies/mine",
                    "/v1/studies/mine/events",
                ),
                *("/v1/studies/mine/trials", "/v1/studies/mine/trials/0", "/v1/studies/mine/export", "/v1/nowhere"),
                *("/metrics", "/openapi.json", f"/v1/studies?token={SHARED}", f"/v1/studies?page_token={token}"),
            )
            answers += [http.get(path, headers=headers) for path in paths]
    found = "\n".join(f"{answer.text} {answer.headers if answer is not login else ''}" for answer in answers)
    return cookie, found


def assert_none_is_told(told: dict[str, str], hidden: list[str]) -> None:
    found = [(where, one[:12]) for where, text in told.items() for one in hidden if one in text]
    assert found == []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it has ended
                continue
            assert not [one[:12] for one in hidden if one in line], line.replace("\0", " ")[:50]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:{}@127.0.0.1:1/x",
        "postgresql://u:{}@127.0.0.1:port/x",
        "postgresql://u:{}@[::1/x",
        "postgresql://127.0.0.1:1/x?user=u&password={}",
        "postgresql://u:{}@127.0.0.1:1/x?sslmode=nope",
        "postgresql://u:a@{}@127.0.0.1:1/x",
        "postgresql://u:a@b?{}@127.0.0.1:1/x",
        "mysql://u:{}@h/x",
        "sqlite://u:{}@h/x",
        "u:{}@h/x",
    ],
)
def test_the_address_of_a_database_is_told_without_its_password(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_from(database_url=url.format(PASSWORD))
    said = [repr(settings), str(settings)]
    try:
        database = Database(settings.database_address(), connections=1)
        said.append(database.name)
        with database.reading():
            pass
    except SturgeonError as error:
        said += [str(error), repr(error), str(error.__cause__)]
    else:
        raise AssertionError("there is no such database")

    warned = capsys.readouterr().err
    assert PASSWORD not in "".join(said) + warned
    assert ("can be read by everybody on this machine" in warned) == ("//" in url)


@pytest.mark.parametrize("url", ["http://u:{}@127.0.0.1:1", "http://u:{}@", "ftp://u:{}@x", "https://u:{}@h:port/a@b"])
def test_the_address_of_a_server_is_told_without_its_password(url: str) -> None:
    address = url.format(PASSWORD)
    with pytest.raises(SturgeonError) as error, Client(address, patience_s=0) as client:
        client.ready()
    said = f"{error.value} {error.value!r} {WorkerOptions(address, SHARED)!r}"
    assert "***@" in said
    assert PASSWORD not in said
    assert SHARED not in said


def test_a_database_keeps_no_token(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> None:
    """Nor does a backup, which is a copy of it. The secrets of webhooks are in it: messages are signed with them."""
    server = guarded_server(migrated_sqlite_url, tmp_path, serve)
    token = server.client.create_token("ada", ["read"]).token
    with Client(server.url, token) as client:
        client.studies()
    file = Path(migrated_sqlite_url.removeprefix("sqlite:///"))
    kept = b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))
    assert b"ada" in kept
    assert hashlib.sha256(token.encode()).hexdigest().encode() in kept
    assert token.encode() not in kept
    assert SHARED_TOKEN.encode() not in kept
