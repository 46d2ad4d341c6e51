"""A server that speaks TLS itself, and all that speaks with it: the command line, workers, streams and browsers."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from sturgeon.client import Client
from sturgeon.errors import ServerUnreachable
from tests.certificates import Certificates, certificates
from tests.cli.command import Command
from tests.processes import DEADLINE_S, ServerProcess, WorkerProcess
from tests.running import RunningServer

SCRIPT: Final = """
import os, sys, urllib.request

with urllib.request.urlopen(sys.argv[1] + "/healthz") as answer:  # with what SSL_CERT_FILE names
    assert answer.status == 200
print("loss=0.25")
"""
STUDY: Final = {
    "name": "mine",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": 2},
}
TOKEN: Final = "sesame-sesame-sesame-sesame-sesame"


@pytest.fixture
def trusted(tmp_path: Path) -> Certificates:
    return certificates(tmp_path, "127.0.0.1")


@pytest.fixture
def guarded(server_process: Callable[..., ServerProcess], trusted: Certificates) -> ServerProcess:
    return server_process(STURGEON_TLS_CERT=str(trusted.cert), STURGEON_TLS_KEY=str(trusted.key), STURGEON_TOKEN=TOKEN)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_all_clients_work_with_an_authority_of_ones_own(
    guarded: ServerProcess,
    trusted: Certificates,
    sturgeon: Command,
    worker_process: Callable[..., WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STURGEON_SERVER", guarded.url)
    monkeypatch.setenv("STURGEON_TOKEN", TOKEN)
    refused = sturgeon("study", "list")
    assert refused.code != 0
    assert refused.err.count("\n") <= 3, refused.err
    said = " ".join(refused.err.split())
    assert (
        f"The certificate of {guarded.url} is not trusted: unable to get local issuer certificate. If an authority"
        in said
    )
    assert "that authority's certificate in SSL_CERT_FILE." in said

    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.authority))
    (tmp_path / "script.py").write_text(SCRIPT)
    argv = ["python", str(tmp_path / "script.py"), guarded.url]
    task = {"kind": "command", "argv": argv, "metrics": {"lines": {"loss": r"loss=([\d.]+)"}}}
    with Client(guarded.url, TOKEN) as client:
        client.create_study({**STUDY, "task": task})
    worker_process(guarded.url, "--allow-command", "python", "--python", sys.executable, STURGEON_TOKEN=TOKEN)
    assert sturgeon("study", "watch", "mine").code == 0

    with Client(guarded.url, TOKEN) as client:
        assert [trial.value for trial in client.all_trials("mine")] == [0.25, 0.25]
    assert_a_stream_and_a_login_are_as_over_http(guarded, trusted)
    assert_other_protocols_are_refused(guarded)


def test_an_address_with_https_of_a_server_without_it_is_told(sturgeon: Command, server: RunningServer) -> None:
    ran = sturgeon("study", "list", "--server", server.url.replace("http", "https"))
    assert ran.code != 0
    assert "it does not speak https there; does its address begin with http:// instead?" in " ".join(ran.err.split())


def assert_a_stream_and_a_login_are_as_over_http(server: ServerProcess, trusted: Certificates) -> None:
    context = ssl.create_default_context(cafile=str(trusted.authority))
    with httpx.Client(base_url=server.url, verify=context, trust_env=False, timeout=DEADLINE_S) as http:
        with http.stream("GET", "/v1/studies/mine/stream", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert next(answer.iter_text())
        answer = http.post("/login", data={"token": TOKEN}, headers={"Origin": server.url, "Accept": "text/html"})
        assert answer.status_code == 303
        assert "; secure" in answer.headers["Set-Cookie"].lower()
        assert "Strict-Transport-Security" not in answer.headers  # it would hold for all ports of the host
        assert http.get("/", headers={"Accept": "text/html"}).is_success
        ours = {"Origin": server.url, "X-Requested-With": "page"}
        assert http.post("/v1/studies", json=STUDY | {"name": "other"}, headers=ours).status_code == 201


def assert_other_protocols_are_refused(server: ServerProcess) -> None:
    plain = server.url.replace("https", "http")
    with Client(plain, TOKEN, patience_s=0) as client, pytest.raises(ServerUnreachable, match="did not answer"):
        client.ready()
    assert spoken(server, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        spoken(server, ssl.TLSVersion.TLSv1_1)
    with (
        Client(server.url.replace("127.0.0.1", "localhost"), TOKEN) as client,
        pytest.raises(ServerUnreachable, match=r"Hostname mismatch.*Ask the server by a name that is in"),
    ):
        client.ready()
    assert server.alive
    assert "Traceback" not in server.output


def spoken(server: ServerProcess, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that is agreed on with a client that knows this one alone. Raises: ssl.SSLError (none is)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as opened, context.wrap_socket(opened) as tls:
        return tls.version()
