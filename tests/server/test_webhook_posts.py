"""One POST to a stranger: which addresses it may reach, and how long it may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from server.services.webhooks.addresses import Refused, may_be_reached, networks_of, target_of
from server.services.webhooks.delivery import wait_s
from server.services.webhooks.posting import Line, post
from server.settings import Settings
from sturgeon.errors import SturgeonError
from tests.processes import DEADLINE_S

HERE = networks_of("127.0.0.1")

PRIVATE = """
    0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1
    192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1
    ::ffff:127.0.0.1 ::ffff:192.168.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001:0:1::1 2001:db8::1 2002:7f00:1::
    fc00::1 fd12::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1"""
PUBLIC = "1.1.1.1 93.184.215.14 172.32.0.1 192.169.0.1 2606:4700::1111 2a00:1450:4001::200e ::ffff:1.1.1.1"


def test_only_public_addresses_may_be_reached() -> None:
    assert [address for address in PRIVATE.split() if may_be_reached(address, ())] == []
    assert [address for address in PUBLIC.split() if not may_be_reached(address, ())] == []


def test_a_network_that_is_allowed_may_be_reached_and_no_other() -> None:
    allowed = networks_of("10.0.0.0/8, fd00::/8")

    assert may_be_reached("10.200.0.1", allowed)
    assert may_be_reached("::ffff:10.0.0.1", allowed)
    assert may_be_reached("fd12::1", allowed)
    assert not may_be_reached("192.168.0.1", allowed)
    assert not may_be_reached("fc00::1", allowed)
    assert Settings(webhook_networks="10.0.0.0/8").webhook_networks
    with pytest.raises(SturgeonError, match="STURGEON_WEBHOOK_NETWORKS"):
        networks_of("10.0.0.0/8, office")


@pytest.mark.parametrize(
    "url",
    [
        "https://me@host/",
        "https://host/#part",
        "https:///path",
        "https://host:99999/",
        "https://ho st/",
        "http://h\r\nX: y/",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        target_of(url)


def test_waits_grow_from_five_seconds_to_an_hour() -> None:
    assert [round(wait_s(times, lambda: 0.5), 6) for times in (1, 2, 3, 9, 10, 11, 99)] == [
        5, 10, 20, 1280, 2560, 3600, 3600
    ]  # fmt: skip
    assert wait_s(1, lambda: 0.0) < 5 < wait_s(1, lambda: 0.999)


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a receiver that sends a byte of its answer now and then, and never all of it."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not over.wait(0.02):
                    connection.sendall(b"a")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    yield listener.getsockname()[1]
    over.set()
    thread.join(DEADLINE_S)
    listener.close()


def test_the_time_limit_is_that_of_the_whole_answer(dripping: int) -> None:
    outcome = post(target_of(f"http://127.0.0.1:{dripping}/"), {}, b"{}", HERE, line=Line(timeout_s=0.3))

    assert outcome == (None, "127.0.0.1: it took too long")


def test_whoever_does_not_listen_or_speaks_no_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        mail = post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}", HERE)
        thread.join(DEADLINE_S)
    nobody = post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}", HERE)

    assert mail == (None, "127.0.0.1: its answer is not HTTP (BadStatusLine)")
    assert nobody == (None, "127.0.0.1: Connection refused")
