"""A connection that ends amid an upload is no error of the server."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx

from tests.processes import ServerProcess


def test_an_upload_whose_connection_ends_amid_the_body_is_no_server_error(
    server_process: Callable[..., ServerProcess],
) -> None:
    server = server_process()
    address = httpx.URL(server.url)
    path = f"/v1/studies/bear/trials/0/checkpoints/5?fence=1&sha256={'0' * 64}"
    for _ in range(3):
        with socket.create_connection((address.host, address.port), timeout=60) as connection:
            head = f"PUT {path} HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 10)
    # It ends when all requests have; then its log is read, where a 500 or a traceback fails the test.
    server.stop()
