"""Clients that stop, or that send and read too slowly, are dropped; those that only take their time are not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.connections import LARGEST_HEAD, LEAST, MOST_AHEAD
from server.settings import Settings
from tests.processes import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L8")

PATIENCE_S = 0.2
TICK_S = 0.02
LARGE = "/static-offline-docs/swagger-ui-bundle.js"


@pytest.fixture
def impatient(migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server that waits for clients for a fifth of a second; none of it depends on the kind of database."""
    settings = Settings(
        database_url=migrated_sqlite_url,
        checkpoints=tmp_path / "checkpoints",
        reap_every_s=600,
        client_patience_s=PATIENCE_S,
    )
    return serve(settings)


@pytest.fixture
def connect(impatient: RunningServer) -> Iterator[Callable[[], socket.socket]]:
    with ExitStack() as stack:

        def connect() -> socket.socket:
            address = httpx.URL(impatient.url)
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(DEADLINE_S)
            one.connect((address.host, address.port or 0))
            return stack.enter_context(one)

        yield connect


def was_dropped(one: socket.socket) -> bool:
    """Read on to the end, which comes when the server drops the connection."""
    all_of(one)
    return True


def all_of(one: socket.socket) -> bytes:
    """What comes until the server drops the connection."""
    read = b""
    try:
        while part := one.recv(65536):
            read += part
    except ConnectionResetError:
        pass
    return read


def is_open_for(one: socket.socket, seconds: float) -> bool:
    """Wait for so long; whether nothing has come and the connection is still there."""
    one.settimeout(seconds)
    try:
        return bool(one.recv(1))
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False
    finally:
        one.settimeout(DEADLINE_S)


HEAD = b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: loc", HEAD, HEAD + b"{", GET + GET[:-2], GET + HEAD],
    ids=["nothing", "a letter", "half a head", "a head", "half a body", "a second head", "a second body"],
)
def test_who_stops_in_the_middle_is_dropped(connect: Callable[[], socket.socket], sent: bytes) -> None:
    one = connect()
    one.sendall(sent)

    assert was_dropped(one)


@pytest.mark.parametrize("sent", [b"GET /healthz HTTP/1.1\r\nX-Long: ", HEAD], ids=["a head", "a body"])
def test_who_sends_a_byte_now_and_then_is_dropped(connect: Callable[[], socket.socket], sent: bytes) -> None:
    one = connect()
    one.sendall(sent)

    sends = 0
    while is_open_for(one, TICK_S):
        with suppress(ConnectionError):
            one.send(b"x")
        sends += 1
    assert sends > 3


def test_who_does_not_read_is_dropped_and_holds_no_answer(
    impatient: RunningServer, connect: Callable[[], socket.socket]
) -> None:
    readers = []
    for _ in range(3):
        readers.append(reader := connect())
        reader.sendall(f"GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 10)
        assert reader.recv(1)

    wait_until(lambda: not impatient.connections(), "the server dropped all of them")

    size = len(httpx.get(f"{impatient.url}{LARGE}", trust_env=False).content)
    for reader in readers:
        read = 0
        try:
            while part := reader.recv(65536):
                read += len(part)
        except ConnectionResetError:
            pass
        assert read < 10 * size


def test_who_sends_slowly_but_steadily_is_heard(connect: Callable[[], socket.socket]) -> None:
    one, parts = connect(), 30
    head = f"POST /v1/space:preview HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LEAST * parts}\r\n"
    one.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())

    for part in range(parts):
        assert part == 0 or is_open_for(one, TICK_S)
        one.sendall(b" " * LEAST)

    assert one.recv(12) == b"HTTP/1.1 400"


def test_who_reads_slowly_but_steadily_gets_all(impatient: RunningServer, connect: Callable[[], socket.socket]) -> None:
    size = len(httpx.get(f"{impatient.url}{LARGE}", trust_env=False).content)
    one, (clock, _other) = connect(), socket.socketpair()
    one.sendall(f"GET {LARGE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    read = 0
    with clock, _other:
        while part := one.recv(size // 30):
            read += len(part)
            if read < size / 2:
                assert is_open_for(clock, TICK_S)

    assert read > size


def test_a_server_that_works_is_waited_for(impatient: RunningServer) -> None:
    answer = httpx.post(
        f"{impatient.url}/v1/leases",
        json={"worker": "ada", "wait": 5 * PATIENCE_S},
        trust_env=False,
        timeout=DEADLINE_S,
    )

    assert answer.json()["leases"] == []


def test_a_connection_that_asks_nothing_makes_room_for_one_that_does(
    impatient: RunningServer, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impatient.connection_class, "patience_s", DEADLINE_S)
    monkeypatch.setattr(impatient.connection_class, "most", 4)
    silent = [connect() for _ in range(4)]
    wait_until(lambda: len(impatient.connections()) == 4, "all were accepted")

    asking = connect()
    asking.sendall(GET)

    assert asking.recv(12) == b"HTTP/1.1 200"
    assert len(impatient.connections()) == 4
    assert [is_open_for(one, TICK_S) for one in silent].count(False) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.1\r\nX-Long: ",
        b"GET /",
        HEAD.replace(b"Content-Length: 5000", b"Transfer-Encoding: chunked") + b"0\r\nX-Long: ",
    ],
    ids=["a header", "an address", "a header behind a body"],
)
def test_a_head_without_an_end_is_not_kept(
    impatient: RunningServer, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(impatient.connection_class, "patience_s", 10 * DEADLINE_S)
    one = connect()

    with suppress(ConnectionError):
        one.sendall(sent + b"x" * 10 * LARGEST_HEAD)

    assert was_dropped(one)


def test_few_requests_are_read_before_their_turn(connect: Callable[[], socket.socket]) -> None:
    one = connect()

    with suppress(ConnectionError):
        one.sendall(GET * 10 * MOST_AHEAD)

    assert all_of(one).count(b"HTTP/1.1 200") <= MOST_AHEAD
    one = connect()
    one.sendall(GET * MOST_AHEAD)
    assert all_of(one).count(b"HTTP/1.1 200") == MOST_AHEAD


def test_who_sends_on_what_was_refused_is_dropped(connect: Callable[[], socket.socket]) -> None:
    one = connect()
    one.sendall(HEAD.replace(b"5000", b"999999999999"))
    assert one.recv(12) == b"HTTP/1.1 413"

    with suppress(ConnectionError):
        while is_open_for(one, TICK_S):
            one.sendall(b"x" * LEAST)


def test_requests_that_wait_for_their_turn_learn_of_the_end(
    impatient: RunningServer, connect: Callable[[], socket.socket]
) -> None:
    """One runs until its poll ends; it would answer into nothing, and the one behind it would begin."""
    body = b'{"worker": "ada", "wait": 9}'
    poll = HEAD.replace(b"/v1/studies", b"/v1/leases").replace(b"5000", str(len(body)).encode()) + body
    one = connect()
    one.sendall(poll + GET)
    wait_until(lambda: impatient.app.state.long_polls.anybody(), "ada waited")
    [connection] = impatient.connections()
    cycles = list(connection._unanswered)

    one.close()

    wait_until(lambda: not impatient.connections(), "the connection ended")
    assert [cycle.disconnected for cycle in cycles] == [True, True]
