"""What a client does with its connections, and with what cannot be sent or read."""

from __future__ import annotations

import gzip
import multiprocessing
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from sturgeon import Client, errors
from tests.processes import DEADLINE_S

HEALTHY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


class Listener:
    """Answers each request, and keeps the connections that it was asked on."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked_on: list[tuple[str, int]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection, address), daemon=True).start()

    def _answer(self, connection: socket.socket, address: tuple[str, int]) -> None:
        with connection:
            while connection.recv(65_536):
                self.asked_on.append(address)
                connection.sendall(HEALTHY)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def ask(client: Client) -> None:
    assert client.health().status == "ok"


def test_a_process_that_is_forked_off_has_connections_of_its_own(listener: Listener) -> None:
    with Client(listener.url) as client:
        ask(client)
        child = multiprocessing.get_context("fork").Process(target=ask, args=(client,))
        child.start()
        child.join(DEADLINE_S)
        ask(client)

    assert child.exitcode == 0
    first, of_child, last = listener.asked_on
    assert of_child != first
    assert last == first


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("path", ["health", "stream"])
def test_an_answer_that_cannot_be_decoded_is_a_stranger_s(status: int, path: str) -> None:
    broken = {"Content-Encoding": "gzip"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(status, headers=broken, stream=httpx.ByteStream(gzip.compress(b"{}")[1:]))
    )
    with Client("http://server.test", transport=transport) as client, pytest.raises(errors.ServerUnreachable):
        client.health() if path == "health" else next(iter(client.metrics("bowl")))


@pytest.mark.parametrize("name", ["x" * 70_000, "\ud800", "a\ud800"])
def test_a_name_that_no_address_can_have_is_refused_in_a_sentence(name: str) -> None:
    refused = {"type": "", "title": "", "status": 422, "code": "invalid", "detail": "That is no name.", "errors": []}
    transport = httpx.MockTransport(lambda _: httpx.Response(422, json=refused))
    with Client("http://server.test", transport=transport) as client:
        with pytest.raises(errors.Invalid):
            client.study(name)
        with pytest.raises(errors.Invalid):
            client.trials("bowl", page_token=name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTPS_PROXY", "gopher://there"), ("SSL_CERT_FILE", "/nowhere/at-all")],
)
def test_a_proxy_or_certificate_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.SturgeonError, match=f"environment names .*{name}.* cannot be used: "):
        Client("https://sturgeon.example")
