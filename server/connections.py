"""Connections whose client sends or reads too slowly are dropped: uvicorn by itself waits for them for ever.

A client that stops in the middle of a head holds a descriptor, one that does not read holds the answer in memory. It
needs no token for that.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from typing import Any, Final, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.upgrades import Parser

LEAST: Final = 1024
"""Bytes that a client sends or reads within its time, or else it counts as one that has stopped."""
LARGEST_HEAD: Final = 65_536
"""Bytes of a head, or of what may follow a body in parts, that are kept while its end has not come."""
MOST_AHEAD: Final = 64
"""Requests that a client may send before it has read the answer to the first."""
SPARE: Final = 256
"""Descriptors that are kept for databases, files and threads."""

Waiting = Literal["head", "body", "reader"]


def connections(patience_s: float) -> type[Connection]:
    """uvicorn's protocol, with connections that are dropped when nothing moves for between one and two times so many
    seconds. Where there are no descriptors left, a connection that has not asked anything yet makes room."""
    most = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE, SPARE)
    return type("PatientConnection", (Connection,), {"patience_s": patience_s, "most": most})


class Connection(HttpToolsProtocol):
    """A connection that looks at itself every `patience_s` seconds, and bounds what the parser by itself does not."""

    patience_s: float
    most: int
    _timer: asyncio.TimerHandle | None = None
    _received = 0
    _kept = 0
    _resumed = False
    _unanswered: Sequence[RequestResponseCycle] = ()
    _before: tuple[Waiting | None, RequestResponseCycle | None, int] = (None, None, 0)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = Parser(self, told=self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._make_room()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        for cycle in self._unanswered:  # uvicorn tells the one alone whose head came last
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._kept += len(data)
        super().data_received(data)
        if self._kept > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._kept = 0
        super().on_headers_complete()
        self._unanswered = [one for one in (*self._unanswered, self.cycle) if not one.response_complete]
        if len(self.pipeline) > MOST_AHEAD:
            raise ValueError("more requests than are read ahead")  # which ends the parsing, with 400

    def on_body(self, body: bytes) -> None:
        self._kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._kept = 0
        if not self.parser.should_upgrade():  # else the body is still to come, from the parser that takes over
            super().on_message_complete()

    def resume_writing(self) -> None:
        self._resumed = True
        super().resume_writing()

    def waits_for(self) -> Waiting | None:
        """What the client has to do for the connection to go on; None while the server works."""
        if self.transport.get_write_buffer_size():
            return "reader"
        if self.cycle is None or self.cycle.response_complete:
            return "head"
        is_read = not self.flow.read_paused and not self.cycle.waiting_for_100_continue
        return "body" if self.cycle.more_body and is_read else None

    def _look(self) -> None:
        """Drop the connection if its client has to do the same as at the last look, and has done little since."""
        now = self.waits_for()
        moved = {"body": self._received, "reader": -self.transport.get_write_buffer_size()}.get(now or "", 0)
        before, cycle, moved_before = self._before
        if now is not None and (now, self.cycle) == (before, cycle):
            has_read = now == "reader" and self._resumed
            if moved - moved_before < LEAST and not has_read:
                self.transport.abort()
                return
        self._before, self._resumed = (now, self.cycle, moved), False
        self._timer = self.loop.call_later(self.patience_s, self._look)

    def _make_room(self) -> None:
        others = (one for one in self.connections if isinstance(one, Connection) and one is not self)
        next((one for one in others if one.waits_for() == "head"), self).transport.abort()
