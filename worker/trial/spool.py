"""What a child has said and the server has not heard yet is on disk, too: a worker that is restarted delivers it.

A worker has a folder of its own below `<spool>/<hash of the server's address>`, which it locks. In it each leased trial
has a folder with its lease, a journal of what its child said (a JSON object a line), and a file for each checkpoint
that waits. A checkpoint's bytes are in memory only until they are written, and its file is deleted with the last
reference to it: when it was uploaded, or when thinning dropped it.

Journals may say again what was delivered already: whoever hears it twice takes it once.

Also a machine that loses its power keeps what a run cannot do again cheaply: checkpoints, what was applied, and the
last word are synced to the disk, and with them all reports before them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO

from sturgeon import messages as m
from sturgeon.logs import Log
from worker.child import protocol
from worker.child.protocol import ChildMessage, Finished, SavedCheckpoint
from worker.trial.synced import sync_names, write_synced

MOST_LINES: Final = 10_000
"""After so many lines a journal is written anew, with what still waits."""

_KINDS: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        protocol.Progress,
        protocol.Applied,
        protocol.RunEventMessage,
        protocol.FindingsMessage,
        protocol.SavedCheckpoint,
        protocol.Finished,
        protocol.Paused,
        protocol.LeaveStack,
        protocol.Unable,
        protocol.BeginningLost,
    )
}


class TrialSpool:
    """The folder of one leased trial; without a folder everything stays in memory. Methods are for any thread."""

    def __init__(self, folder: Path | None, log: Log, most_bytes: float = math.inf) -> None:
        self._folder, self._log, self.most_bytes = folder, log, most_bytes
        self._journal: TextIO | None = None
        self._lines = self._files = 0
        self._is_left = False
        self._writing = threading.Lock()

    def begin(self, lease: m.Lease) -> None:
        """Make the folder of a lease."""
        with self._writing, self._or_in_memory():
            if self._folder is not None:
                self._folder.mkdir(parents=True, mode=0o700)
                write_synced(self._folder / "lease.json", lease.model_dump_json().encode())
                self._journal = (self._folder / "journal").open("w", encoding="utf-8")
                sync_names(self._folder)
                sync_names(self._folder.parent)

    def take(
        self, message: ChildMessage, put: Callable[[ChildMessage], None], waiting: Callable[[], list[ChildMessage]]
    ) -> None:
        """Write the message down, and `put` it where it waits. `waiting`: all that has not been delivered."""
        with self._writing:
            with self._or_in_memory():
                message = self._written(message)
            put(message)
            if self._journal is not None and self._lines >= MOST_LINES:
                with self._or_in_memory():
                    self._write_anew(waiting())

    def leave(self) -> None:
        """Write and delete nothing more: the next worker delivers what is there, unless `remove` follows."""
        with self._writing:
            self._is_left = True
            self._close()

    def remove(self) -> None:
        """Delete the folder: nothing of it is to be delivered any more."""
        with self._writing:
            self._close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _written(self, message: ChildMessage) -> ChildMessage:
        if self._journal is None:
            return message
        match message:
            case SavedCheckpoint():
                message = self._on_disk(message)
            case Finished():
                message = replace(message, checkpoints=tuple(map(self._on_disk, message.checkpoints)))
        self._note(self._journal, message)
        return message

    def _on_disk(self, saved: SavedCheckpoint) -> SavedCheckpoint:
        assert self._folder is not None
        self._files += 1
        file = self._folder / f"{self._files}.npz"
        try:
            write_synced(file, saved.content)
            sync_names(self._folder)
        except OSError as error:
            file.unlink(missing_ok=True)
            self._log.warning("checkpoint stays in memory", reason=f"{self._folder}: {error.strerror}")
            return saved
        return self.bound(replace(saved, content=b"", file=file, size=len(saved.content)))

    def bound(self, saved: SavedCheckpoint) -> SavedCheckpoint:
        """A checkpoint whose file is deleted when nobody refers to it any more; not when the process ends."""
        assert saved.file is not None
        weakref.finalize(saved, self._delete, saved.file).atexit = False
        return saved

    def _delete(self, file: Path) -> None:
        if not self._is_left:
            file.unlink(missing_ok=True)

    def _note(self, journal: TextIO, message: ChildMessage) -> None:
        if type(message).__name__ in _KINDS:
            journal.write(json.dumps({"kind": type(message).__name__, **_plain(message)}) + "\n")
            journal.flush()
            if not isinstance(message, protocol.Progress | protocol.FindingsMessage | protocol.RunEventMessage):
                os.fsync(journal.fileno())
            self._lines += 1

    def _write_anew(self, waiting: Iterable[ChildMessage]) -> None:
        assert self._folder is not None
        self._close()
        self._lines = 0
        beside = self._folder / "journal.new"
        with beside.open("w", encoding="utf-8") as journal:
            for message in waiting:
                self._note(journal, message)
            os.fsync(journal.fileno())
        beside.replace(self._folder / "journal")
        sync_names(self._folder)
        self._journal = (self._folder / "journal").open("a", encoding="utf-8")
        self._lines = 0

    def _or_in_memory(self) -> _OnError:
        return _OnError(self._give_up)

    def _give_up(self, error: OSError) -> None:
        self._log.warning("nothing more is written to the spool", reason=f"{self._folder}: {error.strerror}")
        self._close()

    def _close(self) -> None:
        if self._journal is not None:
            with suppress(OSError):
                self._journal.close()
            self._journal = None


class _OnError:
    """Gives an OSError of its block to `handle`, and goes on."""

    def __init__(self, handle: Callable[[OSError], None]) -> None:
        self._handle = handle

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, OSError):
            self._handle(error)
            return True
        return False


class Spool:
    """The folder of one worker below `root`, for one server; `root` None: everything stays in memory.

    most_bytes: for the checkpoints of one trial.
    """

    def __init__(self, root: Path | None, server: str, log: Log, most_bytes: float = math.inf) -> None:
        self._log, self._most_bytes = log, most_bytes
        self._server = None if root is None else root / hashlib.sha256(server.encode()).hexdigest()[:12]
        self._own: Path | None = None
        self._locks: list[TextIO] = []

    def open(self) -> None:
        """Make and lock the worker's folder. Where that cannot be, everything stays in memory."""
        if self._server is None:
            return
        own = self._server / f"{os.getpid()}-{secrets.token_hex(4)}"
        try:
            own.mkdir(parents=True, mode=0o700)
            self._lock(own)
        except OSError as error:
            self._log.warning("there is no spool; what waits stays in memory", reason=f"{own}: {error.strerror}")
            return
        self._own = own

    def close(self) -> None:
        """Leave what waits to the next worker; the folder goes if nothing does."""
        for lock in self._locks:
            lock.close()
        self._locks.clear()
        if self._own is not None and not any(self._own.glob("*/")):
            shutil.rmtree(self._own, ignore_errors=True)

    def of_trial(self, lease: m.Lease) -> TrialSpool:
        """The folder of a new lease."""
        folder = self._own and self._own / f"{lease.study}-{lease.number}-{lease.fence}-{secrets.token_hex(4)}"
        spool = TrialSpool(folder, self._log, self._most_bytes)
        spool.begin(lease)
        return spool

    def left_behind(self) -> Iterator[Path]:
        """The folders of workers that have ended, one after the other, locked by this one; each is deleted after its
        turn, unless it has trials in it still."""
        if self._server is None or self._own is None:
            return
        for folder in sorted(self._server.iterdir()):
            if folder == self._own:
                continue
            try:
                self._lock(folder)
            except OSError:
                continue  # its worker lives
            yield folder
            if not any(folder.glob("*/")):
                shutil.rmtree(folder, ignore_errors=True)

    def _lock(self, folder: Path) -> None:
        """Raises: OSError (another process has the lock)."""
        lock = (folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
        self._locks.append(lock)


def read_trial(folder: Path) -> tuple[m.Lease, list[ChildMessage]]:
    """What a worker that has ended left of a trial. Raises: OSError, ValueError (it is torn)."""
    lease = m.Lease.model_validate_json((folder / "lease.json").read_bytes())
    messages: list[ChildMessage] = []
    for line in (folder / "journal").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):  # else the worker ended while it wrote it
            fields = json.loads(line)
            message = _message(folder, _KINDS[fields.pop("kind")], fields)
            if message is not None:
                messages.append(message)
    return lease, messages


def _message(folder: Path, kind: Any, fields: dict[str, Any]) -> ChildMessage | None:
    """None for a checkpoint whose file is gone or torn: it was uploaded, or dropped, or was being written."""
    if kind is Finished:
        saved = [_message(folder, SavedCheckpoint, one) for one in fields["checkpoints"]]
        fields["checkpoints"] = tuple(one for one in saved if one is not None)
    if kind is not SavedCheckpoint:
        message: ChildMessage = kind(**fields)
        return message
    name = fields.pop("file")
    file = folder / name if name else None
    if file is None or not file.exists() or file.stat().st_size != fields["size"]:
        return None
    return SavedCheckpoint(content=b"", file=file, **fields)


def _plain(message: ChildMessage) -> dict[str, Any]:
    """Its fields for the journal; what is in them is not copied, as `asdict` would do with all that a run has found."""
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    if isinstance(message, SavedCheckpoint):
        del fields["content"]
        fields["file"] = message.file and message.file.name
    elif isinstance(message, Finished):
        fields["checkpoints"] = [_plain(saved) for saved in message.checkpoints]
    return fields
