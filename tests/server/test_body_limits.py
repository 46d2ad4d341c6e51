"""Bodies over the limit are refused before they fill the memory."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from server.settings import Settings
from tests.processes import DEADLINE_S, wait_until
from tests.server.studies import BOWL, DIGITS, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

JSON = {"Content-Type": "application/json"}
HEAD = "POST /v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
ENOUGH = b'{"params": {"x": 0.5, "n": 2}}'
CHECKPOINT = "/v1/studies/digits/trials/0/checkpoints/1?fence=1&sha256=" + "0" * 64


@pytest.fixture
def small(
    migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]
) -> Iterator[httpx.Client]:
    """A server that takes 1,000 bytes of JSON and 5,000 of a checkpoint."""
    settings = Settings(
        database_url=migrated_sqlite_url,
        checkpoints=tmp_path / "checkpoints",
        max_body_mb=0.001,
        max_checkpoint_mb=0.005,
        reap_every_s=600,
    )
    server = serve(settings)
    server.client.create_study(BOWL)
    server.client.create_study(DIGITS)
    server.client.ask("digits")
    with httpx.Client(base_url=server.url, trust_env=False, verify=False, headers=JSON) as http:
        yield http


def in_chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100):
        yield content[start : start + 100]


@pytest.mark.parametrize("send", [bytes, in_chunks], ids=["content-length", "chunked"])
def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(
    small: httpx.Client, send: Callable[[bytes], bytes | Iterator[bytes]]
) -> None:
    fits = ENOUGH + b" " * (1000 - len(ENOUGH))

    assert small.post("/v1/studies/bowl/trials", content=send(fits)).status_code == 201
    answer = small.post("/v1/studies/bowl/trials", content=send(fits + b" "))

    assert refusal(answer) == (413, "too_large")
    assert answer.json()["detail"] == "The body is larger than this server takes, which is 1000 bytes."
    assert small.get("/v1/studies/bowl").json()["counts"] == {"queued": 1}


@pytest.mark.parametrize("send", [bytes, in_chunks], ids=["content-length", "chunked"])
def test_a_checkpoint_has_a_limit_of_its_own(
    small: httpx.Client, tmp_path: Path, send: Callable[[bytes], bytes | Iterator[bytes]]
) -> None:
    torn = small.put(CHECKPOINT, content=send(b"x" * 5000))
    large = small.put(CHECKPOINT, content=send(b"x" * 5001))

    assert (refusal(torn), refusal(large)) == ((409, "contradiction"), (413, "too_large"))
    assert list((tmp_path / "checkpoints").glob("**/*")) == []


def test_the_limit_of_checkpoints_is_theirs_alone(small: httpx.Client) -> None:
    answer = small.post("/v1/studies/bowl/trials?x=/checkpoints/1", content=b"x" * 1001)

    assert refusal(answer) == (413, "too_large")


def test_a_body_without_an_end_is_refused_when_it_is_too_large(small: httpx.Client) -> None:
    """The sender has not said how long it is, and never says that it has ended."""
    address = urlsplit(str(small.base_url))
    head = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=DEADLINE_S) as connection:
        connection.sendall(head)
        for _ in range(11):
            connection.sendall(b"64\r\n" + b" " * 100 + b"\r\n")

        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["99999999999999999999999999", "1001", "100000000"])
def test_a_declared_length_over_the_limit_is_refused_before_anything_comes(small: httpx.Client, length: str) -> None:
    address = urlsplit(str(small.base_url))
    head = f"{HEAD}Content-Length: {length}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=DEADLINE_S) as connection:
        connection.sendall(head.encode())

        assert connection.recv(64)[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 400")


@pytest.mark.fault("L8")
@pytest.mark.expects_errors("503 answered to POST /v1/studies/bowl/trials")
@pytest.mark.tolerates_errors("503 answered to POST /v1/studies$")
def test_large_bodies_wait_outside_while_others_fill_the_memory(small: httpx.Client) -> None:
    """Seventeen senders that stop just before their end; a small body is taken all the same."""
    address = urlsplit(str(small.base_url))
    large = ENOUGH + b" " * (900 - len(ENOUGH))
    with ExitStack() as stack:
        for _ in range(18):
            one = stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
            one.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode() + b" " * 950)
        wait_until(lambda: small.post("/v1/studies/bowl/trials", content=large).status_code == 503, "they were held")

        assert refusal(small.post("/v1/studies/bowl/trials", content=large)) == (503, "overloaded")
        assert small.post("/v1/studies/bowl/trials", content=ENOUGH).status_code in (201, 409)

    wait_until(lambda: small.post("/v1/studies/bowl/trials", content=large).status_code != 503, "their memory was free")
