"""A client that offers another protocol, as Java's own and `curl --http2` do, is answered in HTTP/1.1."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.processes import DEADLINE_S
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}
STUDY = json.dumps(BOWL)


def request(target: str, offer: str, framing: str = "", body: str = "") -> bytes:
    fixed = "Host: 127.0.0.1\r\nX-Requested-With: tests\r\nContent-Type: application/json\r\n"
    return f"{target} HTTP/1.1\r\n{fixed}{offer}{framing}\r\n{body}".encode()


def statuses(server: RunningServer, *parts: bytes) -> list[str]:
    """The status of each answer to what is sent at once, or in parts; the last request asks to close."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        with connection.makefile("rb") as answers:
            text = answers.read().decode()
    return re.findall(r"HTTP/1\.1 (\d+)", text)


LAST = request("GET /v1/studies/bowl", "Connection: close\r\n")


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (f"Content-Length: {len(STUDY)}\r\n", STUDY),
        ("Transfer-Encoding: chunked\r\n", f"{len(STUDY):x}\r\n{STUDY}\r\n0\r\n\r\n"),
    ],
)
def test_a_request_that_offers_another_protocol_keeps_its_body(
    server: RunningServer, offer: str, framing: str, body: str
) -> None:
    whole = request("POST /v1/studies", OFFERS[offer], framing, body)

    assert statuses(server, whole + LAST) == ["201", "200"]


def test_its_parts_may_come_one_by_one_and_more_requests_behind_it(server: RunningServer) -> None:
    create = request("POST /v1/studies", OFFERS["h2c"], f"Content-Length: {len(STUDY)}\r\n", STUDY)
    look = request("GET /healthz", OFFERS["h2c"])
    sent = look + create + look + LAST
    parts = (sent[at : at + 7] for at in range(0, len(sent), 7))

    assert statuses(server, *parts) == ["200", "201", "200", "200"]
