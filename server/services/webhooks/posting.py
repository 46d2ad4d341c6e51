"""One POST to a stranger's address: within a time limit in all, to an address that was checked, and nowhere else."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache
from http.client import HTTPException, HTTPResponse
from typing import Any, Final, NamedTuple

from server.services.webhooks.addresses import Network, Refused, Resolve, Target, checked, resolve

TIMEOUT_S: Final = 10.0
MOST_READ: Final = 65_536


class Outcome(NamedTuple):
    """What came of an attempt. status: that of the answer, None without one. error: None for a success."""

    status: int | None
    error: str | None


class Line:
    """A connection that another thread can cut."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._socket: socket.socket | None = None
        self.is_cut = False

    def left(self) -> float:
        """Seconds until the time limit. Raises: TimeoutError (there are none, or the line was cut)."""
        left = self._deadline - time.monotonic()
        if left <= 0 or self.is_cut:
            raise TimeoutError("it took too long")
        return left

    def holds(self, connected: socket.socket) -> None:
        """Cut this one, if it comes to that."""
        self._socket = connected

    def cut(self) -> None:
        """End the attempt at once, from another thread."""
        self.is_cut = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already


def post(
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    networks: Sequence[Network],
    *,
    line: Line | None = None,
    resolve: Resolve = resolve,
) -> Outcome:
    """POST, and what came of it: an answer of 2xx is a success. Redirects are not followed."""
    line = line or Line()
    try:
        with _connected(target, checked(target, networks, resolve), line) as connection:
            line.holds(connection)
            connection.settimeout(line.left())
            connection.sendall(_request(target, headers, body))
            status = _status(connection, line)
    except Refused as refused:
        return Outcome(None, refused.message)
    except (OSError, HTTPException, UnicodeError) as error:
        return Outcome(None, f"{target.host}: {'the server has ended meanwhile' if line.is_cut else _reason(error)}")
    if 300 <= status < 400:
        return Outcome(status, f"the answer was {status}: redirects are not followed; give the address it leads to")
    return Outcome(status, None if 200 <= status < 300 else f"the answer was {status}")


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def _connected(target: Target, addresses: Sequence[str], line: Line) -> socket.socket:
    """A connection to the first of the addresses that takes one. Raises: OSError."""
    error: OSError = OSError("it has no address")
    for address in addresses:
        try:
            connection = socket.create_connection((address, target.port), timeout=line.left())
        except OSError as failed:
            error = failed
            continue
        if target.scheme == "http":
            return connection
        connection.settimeout(line.left())
        try:  # the certificate has to be that of the name, whatever address it has
            return _tls().wrap_socket(connection, server_hostname=target.host)
        except BaseException:
            connection.close()
            raise
    raise error


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _status(connection: socket.socket, line: Line) -> int:
    """The status of the answer. Its body is read, but no more than MOST_READ: a receiver that is cut off fails."""
    response = HTTPResponse(_Socket(connection, line), method="POST")  # type: ignore[arg-type]
    try:
        response.begin()
        response.read(MOST_READ)
        return response.status
    finally:
        response.close()


class _Socket:
    """What HTTPResponse takes of a socket: a file, here one that keeps the time limit of the whole answer."""

    def __init__(self, connection: socket.socket, line: Line) -> None:
        self._raw = _Raw(connection, line)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._raw)


class _Raw(io.RawIOBase):
    def __init__(self, connection: socket.socket, line: Line) -> None:
        self._connection, self._line = connection, line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._line.left())
        return self._connection.recv_into(buffer)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, HTTPException):
        return f"its answer is not HTTP ({type(error).__name__})"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
