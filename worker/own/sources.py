"""Where a run's reports come from: lines that it prints, and files that it appends to."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from worker.own.output import KeptOutput, Lines
from worker.own.program import Stream
from worker.own.said import PREFIX, Misread, Patterns, Said, said_in

READ_AT_ONCE: Final = 1 << 18
MOST_AT_ONCE: Final = 1 << 20
MOST_COMPLAINTS: Final = 5


class Sources:
    """Reads what a program says of its run; complains of what makes no sense, a few times, in its log.

    fields: the task's `metrics`. reports: the file that is always there. Raises: Misread (a pattern is none).
    """

    def __init__(self, fields: Mapping[str, object], reports: Path, cwd: Path, log: KeptOutput) -> None:
        lines, file = fields.get("lines"), fields.get("file")
        self._patterns = Patterns(lines if isinstance(lines, dict) else {})
        only = b"" if self._patterns else PREFIX.encode()
        self._streams: dict[Stream, Lines] = {"stdout": Lines(only), "stderr": Lines(only)}
        self._followed = [_Followed(reports), *([_Followed(cwd / str(file))] if file else [])]
        self._log, self._complaints = log, 0
        self.complaint = ""
        """What could not be understood first."""

    def heard(self, stream: Stream, data: bytes) -> list[Said]:
        """What a part of the output says. Raises: PatternFailed."""
        return list(self._said_in_lines(list(self._streams[stream].added(data)), stream))

    def rest(self) -> list[Said]:
        """What is said at the end: by the rest of the files, and by last lines that have no line end."""
        said: list[Said] = []
        for stream, lines in self._streams.items():
            said += self._said_in_lines(list(lines.rest()), stream)
        said += self.files(math.inf)
        return said + [one for followed in self._followed for line in followed.rest() for one in self._read(line)]

    def _said_in_lines(self, lines: list[str], stream: Stream) -> Iterator[Said]:
        plain: list[str] = []
        for line in lines:
            if stream == "stdout" and line.startswith(PREFIX):
                yield from self._patterns.found(plain)
                plain = []
                yield from self._read(line[len(PREFIX) :])
            else:
                plain.append(line)
        yield from self._patterns.found(plain)

    def files(self, most: float = MOST_AT_ONCE) -> list[Said]:
        """What the files say that was appended since, up to so many bytes: the rest comes the next time."""
        return [said for followed in self._followed for line in followed.added(most) for said in self._read(line)]

    def _read(self, text: str) -> Iterator[Said]:
        if not text.strip():
            return
        try:
            yield said_in(text)
        except Misread as error:
            self._complaints += 1
            self.complaint = self.complaint or str(error)
            if self._complaints <= MOST_COMPLAINTS:
                self._log.note(f"what was said cannot be understood: {error}")


class _Followed:
    """A file of lines that grows. What it has when the run begins, as a file of another trial does, is passed by.

    What is no file, as a pipe, is never read: whoever opens one waits until somebody writes.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lines = path, Lines()
        self._inode, self._read = self._about()

    def _about(self) -> tuple[int, int]:
        try:
            about = self._path.stat()
        except OSError:
            return 0, 0
        return (about.st_ino, about.st_size) if stat.S_ISREG(about.st_mode) else (0, 0)

    def rest(self) -> Iterator[str]:
        """The last line, if no line end has come."""
        return self._lines.rest()

    def added(self, most: float) -> Iterator[str]:
        inode, size = self._about()
        if (inode, size) == (self._inode, self._read):
            return
        if inode != self._inode or size < self._read:  # it was written anew
            self._inode, self._read, self._lines = inode, 0, Lines()
        if not inode:
            return
        try:
            with open(self._path, "rb", opener=_without_waiting) as file:
                file.seek(self._read)
                while most > 0 and (data := file.read(READ_AT_ONCE)):
                    self._read += len(data)
                    most -= len(data)
                    yield from self._lines.added(data)
        except OSError:
            return


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
