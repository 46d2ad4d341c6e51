"""deploy/nginx.conf and deploy/Caddyfile, with the real programs before a real server, where this machine has them."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest
from pydantic import SecretStr

from server.routes.streaming import BEAT_S
from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import TooLarge
from tests.certificates import Certificates, certificates
from tests.processes import DEADLINE_S, clean_environment, free_port, wait_until
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
TOKEN: Final = secrets.token_urlsafe(32)
MOST_WRONG: Final = 3
MOST_BYTES: Final = 2_000_000
NGINX: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sturgeon.conf;
}}
"""
ANYWHERE: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs. context: trusts its authority alone."""

    server: RunningServer
    url: str
    plain_url: str
    context: ssl.SSLContext

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.context, trust_env=False, timeout=DEADLINE_S)


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=ANYWHERE)
    if found is None:
        pytest.skip(f"{name} is not installed here; its file is read by another test")
    return found


def nginx_command(folder: Path, replaced: Callable[[str], str], ports: tuple[int, int]) -> list[str]:
    site = replaced((DEPLOY / "nginx.conf").read_text())
    site = re.sub(r"listen \[::\].*", "", site)
    site = site.replace("listen 443", f"listen 127.0.0.1:{ports[0]}").replace(
        "listen 80", f"listen 127.0.0.1:{ports[1]}"
    )
    (folder / "sturgeon.conf").write_text(site.replace("https://$host", f"https://$host:{ports[0]}"))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy_command(folder: Path, replaced: Callable[[str], str], ports: tuple[int, int]) -> list[str]:
    ours = f"{{\n\tadmin off\n\thttp_port {ports[1]}\n\thttps_port {ports[0]}\n\tskip_install_trust\n}}\n"
    (folder / "Caddyfile").write_text(ours + replaced((DEPLOY / "Caddyfile").read_text()))
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.fixture(params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    migrated_sqlite_url: str,
    serve: Callable[[Settings], RunningServer],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Proxy]:
    program(request.param)
    server = serve(
        Settings(
            database_url=migrated_sqlite_url,
            checkpoints=tmp_path / "checkpoints",
            token=SecretStr(TOKEN),
            trusted_proxies="127.0.0.1",
            max_wrong_tokens=MOST_WRONG,
            max_checkpoint_mb=MOST_BYTES / 1e6,
            longest_wait_s=30,
            reap_every_s=600,
        )
    )
    files, ports = certificates(tmp_path, "127.0.0.1"), (free_port(), free_port())
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    make = {"nginx": nginx_command, "caddy": caddy_command}[request.param]
    command = make(tmp_path, lambda text: at_these_addresses(text, server, files), ports)
    env = clean_environment() | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with (
        (tmp_path / "proxy.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=env) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or listens(ports[0]), "the proxy listened")
            assert process.poll() is None, (tmp_path / "proxy.log").read_text()
            context = ssl.create_default_context(cafile=str(files.authority))
            yield Proxy(server, f"https://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", context)
        finally:
            process.terminate()


def at_these_addresses(text: str, server: RunningServer, files: Certificates) -> str:
    text = text.replace("127.0.0.1:8000", server.url.removeprefix("http://")).replace("sturgeon.example", "127.0.0.1")
    return text.replace("/etc/ssl/sturgeon/cert.pem", str(files.cert)).replace(
        "/etc/ssl/sturgeon/key.pem", str(files.key)
    )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_service_works_behind_a_proxy_as_without(proxy: Proxy) -> None:
    with Client(proxy.url, TOKEN) as client, proxy.http() as http:
        assert_a_person_logs_in_and_changes_something(http, proxy.url)
        assert_events_arrive_at_once(http, client)
        assert_large_checkpoints_pass(client)
        assert_larger_ones_are_refused_by_the_server(client)
        assert_a_worker_waits_for_work(proxy, client)
        assert_an_address_that_a_client_invents_is_not_believed(http)
    answer = httpx.get(f"{proxy.plain_url}/workers", trust_env=False)
    assert answer.is_redirect
    assert answer.headers["Location"].startswith("https://")


def assert_a_person_logs_in_and_changes_something(http: httpx.Client, url: str) -> None:
    page = {"Origin": url, "Accept": "text/html"}
    answer = http.post("/login", data={"token": TOKEN}, headers=page)
    assert answer.status_code == 303
    assert "; secure" in answer.headers["Set-Cookie"].lower()
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert http.get("/", headers=page).is_success
    assert http.post("/v1/studies", json=BOWL, headers={"Origin": url, "X-Requested-With": "page"}).status_code == 201
    foreign = {"Origin": "https://evil.example", "X-Requested-With": "page"}
    assert http.post("/v1/studies", json=BOWL, headers=foreign).status_code == 403


def assert_events_arrive_at_once(http: httpx.Client, client: Client) -> None:
    """The second event is sent when the first has been read: a proxy that keeps events back would keep it for ever."""
    with http.stream("GET", "/v1/studies/bowl/stream") as answer:
        parts = answer.iter_text()
        assert next(parts)
        trial = client.enqueue("bowl", {"x": 0.5, "n": 2})
        assert any(f'"number":{trial.number}' in part.replace(" ", "") for part in parts)


def assert_large_checkpoints_pass(client: Client) -> None:
    [lease] = client.ask("bowl", worker="ada").leases
    data = secrets.token_bytes(MOST_BYTES)
    client.put_checkpoint("bowl", lease.number, 1, data, lease.fence)
    assert client.checkpoint("bowl", lease.number, 1) == data


def assert_larger_ones_are_refused_by_the_server(client: Client) -> None:
    """By its own words: a worker would take those of a proxy for a server that is away."""
    with pytest.raises(TooLarge, match="larger than this server takes"):
        client.put_checkpoint("bowl", 0, 2, bytes(MOST_BYTES + 1), 1)


def assert_a_worker_waits_for_work(proxy: Proxy, client: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.lease, "ada", wait=30.0)
        wait_until(proxy.server.app.state.long_polls.anybody, "the worker waited")
        client.create_study(DIGITS)
        assert len(waiting.result(DEADLINE_S).leases) == 1


def assert_an_address_that_a_client_invents_is_not_believed(http: httpx.Client) -> None:
    http.cookies.clear()
    answers = [
        http.get(
            "/v1/studies", headers={"Authorization": f"Bearer no-{number}", "X-Forwarded-For": f"192.0.2.{number}"}
        )
        for number in range(MOST_WRONG + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * MOST_WRONG + [429]


def test_what_the_files_say_fits_what_the_server_does() -> None:
    """For machines that have neither program."""
    nginx, caddy = (DEPLOY / "nginx.conf").read_text(), (DEPLOY / "Caddyfile").read_text()
    said = dict(re.findall(r"^ *([a-z_]+) ([^;{]+);", nginx, re.MULTILINE))

    assert said["client_max_body_size"] == "0"
    assert "max_size" not in caddy
    longest = max(30, BEAT_S)  # the longest wait that a client may ask for
    assert int(said["proxy_read_timeout"].removesuffix("s")) > 2 * longest
    assert (said["proxy_buffering"], said["proxy_request_buffering"]) == ("off", "off")
    assert said["ssl_protocols"] == "TLSv1.2 TLSv1.3"
    headers = dict(re.findall(r"proxy_set_header (\S+) ([^;]+);", nginx))
    assert headers["Host"] == "$http_host"
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["X-Forwarded-Proto"] == "$scheme"
    keep_alive = 5  # uvicorn's own timeout_keep_alive, in seconds
    assert int(said["keepalive_timeout"].removesuffix("s")) < keep_alive
    assert int(re.findall(r"keepalive (\d)s", caddy)[0]) < keep_alive
