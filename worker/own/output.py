"""What a program writes: kept within limits, and cut into lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

LONGEST_LINE: Final = 1 << 16
"""Bytes of a line that are looked at; what is longer is kept in the log only."""

LAST_LINES: Final = 10
LAST_LINES_SIZE: Final = 2000


class KeptOutput:
    """The first quarter and the last three quarters of `most` bytes of output; what is between is left out."""

    def __init__(self, most: int) -> None:
        self._first_most = most // 4
        self._last_most = most - self._first_most
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._last_size = self._left_out = 0
        self.size = 0
        """How many bytes have come in all."""

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = self._first_most - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        if not data:
            return
        self._last.append(data)
        self._last_size += len(data)
        while self._last_size - len(self._last[0]) >= self._last_most:
            dropped = len(self._last.popleft())
            self._last_size -= dropped
            self._left_out += dropped

    def note(self, sentence: str) -> None:
        """A line of ours; it may quote what no text can hold."""
        self.add(f"[sturgeon] {sentence}\n".encode(errors="replace"))

    def text(self) -> str:
        """All that is kept, as lines; bytes that are no text are replaced, and of a line that was written over, as
        progress bars do, the last state counts."""
        last = b"".join(self._last)
        over = max(len(last) - self._last_most, 0)
        left_out = self._left_out + over
        between = f"\n[sturgeon] {left_out} bytes are left out here\n".encode() if left_out else b""
        text = (bytes(self._first) + between + last[over:]).decode(errors="replace")
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))

    def last_lines(self) -> str:
        """The end of the output, for an error."""
        lines = [line for line in self.text().splitlines() if line.strip() and not line.startswith("[sturgeon]")]
        return "\n".join(lines[-LAST_LINES:])[-LAST_LINES_SIZE:]


class Lines:
    """Cuts a stream into lines. With `only`, lines that do not begin with it may be left out: it is quicker."""

    def __init__(self, only: bytes = b"") -> None:
        self._only = only
        self._begun = b""
        self._is_too_long = False

    def added(self, data: bytes) -> Iterator[str]:
        """The lines that end in this part; a carriage return ends one, too."""
        data = data.replace(b"\r", b"\n")
        head, newline, rest = data.partition(b"\n")
        begun = self._begun + head
        if not newline:
            self._is_too_long = self._is_too_long or len(begun) > LONGEST_LINE
            self._begun = b"" if self._is_too_long else begun
            return
        if not self._is_too_long:
            yield from self._line(begun)
        whole, _, self._begun = rest.rpartition(b"\n")
        if whole and self._only in whole:
            for line in whole.split(b"\n"):
                yield from self._line(line)
        self._is_too_long = len(self._begun) > LONGEST_LINE
        if self._is_too_long:
            self._begun = b""

    def rest(self) -> Iterator[str]:
        """The last line, where no line end came any more."""
        begun, self._begun = self._begun, b""
        if begun and not self._is_too_long:
            yield from self._line(begun)

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(self._only) and len(line) <= LONGEST_LINE:
            yield line.decode(errors="replace")
