"""Requests that offer another protocol, such as HTTP/2, are answered as any other: a server may ignore the offer.

Java's own client and `curl --http2` offer it with each request. httptools takes what follows the head of such a request
for the other protocol: the body would be missing, and no later request of the connection would be answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import httptools

if TYPE_CHECKING:
    from array import array

FRAMING: Final = (b"content-length", b"transfer-encoding")


class Receiver(Protocol):
    """What a parser tells of what it has read; `parser` is the one that reads for it, `headers` are the last head's."""

    parser: httptools.HttpRequestParser
    headers: list[tuple[bytes, bytes]]

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class Parser(httptools.HttpRequestParser):
    """httptools' parser, behind which another takes over where it stops."""

    def __init__(self, receiver: Receiver, told: object) -> None:
        """told: what hears of what is read, `receiver` itself or one that passes on to it."""
        super().__init__(told)
        self._receiver = receiver
        # uvicorn answers the first of two requests even if the connection is to be closed then.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes | bytearray | memoryview[int] | array[int]) -> None:
        """Raises: httptools.HttpParserError (it is no HTTP)."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            receiver = self._receiver
            framing = [name + b": " + value + b"\r\n" for name, value in receiver.headers if name in FRAMING]
            receiver.parser = Parser(receiver, _AfterHead(receiver))
            receiver.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
            receiver.parser.feed_data(data[stopped.args[0] :])


class _AfterHead:
    """Passes on all that follows a head that has been told already."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._is_told = True
        self.on_body, self.on_message_complete = receiver.on_body, receiver.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_told:
            self._receiver.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_told:
            self._receiver.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_told:
            self._receiver.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._is_told:
            self._receiver.on_headers_complete()
        self._is_told = False
