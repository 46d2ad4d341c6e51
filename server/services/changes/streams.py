"""The open streams of a server. Each is read in the event loop, and written to by the one thread of the feed.

A stream has room for one push. While its reader has not taken it, nothing is made for it: it gets all that has changed
since in the next one. So a slow reader costs no memory, and no work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from server.store.reach import EVERY_STUDY, Reach
from sturgeon.errors import Overloaded

MOST: Final = 1_000
"""Streams of one server."""
MOST_OF_ONE: Final = 200
"""Streams of one client: so no one client has them all."""


class Of(NamedTuple):
    """What a reader follows: a study, or all that are within reach (None)."""

    study: str | None
    reach: Reach = EVERY_STUDY


@dataclass(eq=False)
class Stream:
    """What one reader follows. Only the feed writes the fields but `waits`, `ended` and `place`.

    client: the address of its machine. token: the hash of the named token that opened it, if one did. cursor: what its
    reader has. seen: up to which wake-up of the feed it was looked at. not_before: when it may be given
    something again, in seconds of the monotonic clock. owes_study: it was not told of the study as it is now.
    """

    of: Of
    client: str
    cursor: str
    token: str | None = None
    waits: bool = False
    ended: bool = False
    place: asyncio.Future[bytes | None] | None = None
    seen: int = -1
    not_before: float = 0.0
    owes_study: bool = True
    shown_study: bytes = b""
    shown_workers: dict[str, bytes] = field(default_factory=dict)


class Streams:
    """All open streams. `begin` and `pushes` are for the event loop, the rest for any thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._open: set[Stream] = set()
        self._guard = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def __len__(self) -> int:
        return len(self._open)

    def waiting(self) -> list[Stream]:
        """Those whose reader has taken all that it was given."""
        with self._guard:
            return [stream for stream in self._open if stream.waits]

    def begin(self, of: Of, client: str, cursor: str, token: str | None = None) -> Stream:
        """Open a stream that goes on from a cursor. Raises: Overloaded (the server, or the client, has too many)."""
        self._loop = asyncio.get_running_loop()
        with self._guard:
            if len(self._open) >= MOST:
                raise Overloaded(f"The server has {MOST} open streams, and opens no more; try again in a moment.")
            if sum(stream.client == client for stream in self._open) >= MOST_OF_ONE:
                raise Overloaded(f"Your machine has {MOST_OF_ONE} open streams here, and gets no more; close some.")
            stream = Stream(of, client, cursor, token)
            self._open.add(stream)
        return stream

    async def pushes(self, stream: Stream) -> AsyncGenerator[bytes]:
        """What the stream is sent, until it ends."""
        try:
            while not (self._ended or stream.ended):
                stream.place = asyncio.get_running_loop().create_future()
                stream.waits = True
                self._wake()
                body = await stream.place
                if body is None:
                    return
                yield body
        finally:
            with self._guard:
                self._open.discard(stream)

    def give(self, stream: Stream, body: bytes | None) -> None:
        """Send this to the reader, which waits; None ends the stream."""
        place, stream.waits = stream.place, False
        if self._loop is not None and place is not None:
            with suppress(RuntimeError):  # the event loop has ended, and the stream with it
                self._loop.call_soon_threadsafe(_put, place, body)

    def tokens(self) -> set[str]:
        """The hashes of the named tokens that have opened streams."""
        with self._guard:
            return {stream.token for stream in self._open if stream.token is not None}

    def end_of(self, tokens: Collection[str]) -> None:
        """End the streams that these tokens, by their hashes, have opened. One that is just being sent something ends
        when that is sent, so that a slow reader of a lively study is told nothing more either."""
        with self._guard:
            theirs = [stream for stream in self._open if stream.token in tokens]
        for stream in theirs:
            stream.ended = True
            if stream.waits:
                self.give(stream, None)

    def end(self) -> None:
        """End all streams, and let none wait from now on. May be called from a signal handler."""
        self._ended = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for stream in list(self._open):
            if stream.place is not None:
                _put(stream.place, None)


def _put(place: asyncio.Future[bytes | None], body: bytes | None) -> None:
    if not place.done():
        place.set_result(body)
