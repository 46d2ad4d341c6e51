"""The connections of a client to its server."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from typing import Final

import httpx

from sturgeon.errors import SturgeonError

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Connections:
    """A pool of connections to one server, and the headers of each request. A process that is forked off has a pool of
    its own: on one connection, each would read the other's answers."""

    def __init__(self, address: httpx.URL, token: str | None, transport: httpx.BaseTransport | None) -> None:
        self._address, self._token, self._given = address, token, transport
        self._open()

    def _open(self) -> None:
        transport, local = self._given, self._address.host in LOOPBACK
        try:
            # To read the certificates takes 20 ms, for nothing where nobody else is on the way. What SSL_CERT_FILE
            # names holds for our own loopback, too; a network's proxy cannot reach that.
            verify = httpx.create_ssl_context() if self._address.scheme == "https" else not local
            if transport is None and local:
                transport = httpx.HTTPTransport(verify=verify, trust_env=False)
            self._http = httpx.Client(
                headers=_who_asks() | ({"Authorization": f"Bearer {self._token}"} if self._token else {}),
                transport=transport,
                verify=verify,
                trust_env=not local,
            )
        except (ImportError, ValueError, OSError) as error:
            raise SturgeonError(
                "The proxy or the certificates that the environment names (ALL_PROXY, HTTPS_PROXY, HTTP_PROXY, "
                f"SSL_CERT_FILE, SSL_CERT_DIR) cannot be used: {error}"
            ) from error
        # Proxies, redirects, cookies and passwords in an address are what httpx.Client is for; without them, it takes a
        # third of the time that a request takes here.
        self._direct = None if self._address.userinfo else transport
        self._process = os.getpid()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What each request says of its client."""
        return self._http.headers.raw

    def close(self) -> None:
        self._http.close()

    def answer(self, request: httpx.Request, stream: bool) -> httpx.Response:
        """Raises: httpx.TransportError, httpx.DecodingError, RuntimeError (they are closed)."""
        if self._process != os.getpid() and not self._http.is_closed:
            self._open()
        if self._direct is None or self._http.is_closed:  # httpx refuses, if it is closed
            return self._http.send(request, stream=stream)
        answer = self._direct.handle_request(request)
        answer.request = request
        if not stream:
            with closing(answer):
                answer.read()
        return answer


def _who_asks() -> dict[str, str]:
    """A header that no web page can send to another server, which is why a server without a token asks for it. By its
    value, a busy server tells clients on one machine apart, and serves them in turns."""
    return {"X-Requested-With": f"sturgeon {uuid.uuid4().hex[:12]}"}
