"""A folder of blobs named by their hash. A blob is written under another name, synced, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from server.store import room
from sturgeon.errors import Unavailable

BEGIN: Final = 512
"""Bytes of a blob that tell what kind of file it is."""
TORN: Final = "torn-"
LOST: Final = (errno.ENOENT, errno.EIO, errno.EISDIR, errno.ENOTDIR)
"""Errors that reading again does not mend; too many open files, say, are others."""


class BlobFolder:
    """Blobs in `folder/ab/abcdef..`. All servers of a database share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def write(self, content: bytes) -> str:
        """Store the bytes; return their hash. Raises: Unavailable (the disk does not take them)."""
        with self.receive() as incoming:
            incoming.write(content)
            self.ensure(incoming.sha256, incoming)
            self.keep(incoming.sha256, incoming)
            return incoming.sha256

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """A blob that comes in parts: it is on the disk, and not stored before `keep`.

        Raises: Unavailable (the disk does not take it).
        """
        with _disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=TORN)
        incoming = Incoming(os.fdopen(handle, "wb"), Path(name))
        try:
            yield incoming
        finally:
            incoming.close()

    def ensure(self, sha256: str, incoming: Incoming) -> None:
        """Bring a blob that has come to the disk, and see whether it is stored already and whole: then it counts as
        written now. Raises: Unavailable (the disk does not take it).
        """
        with _disk_errors():
            incoming.sync()
            incoming.is_stored = self.is_whole(sha256) and self._touch(sha256)

    def keep(self, sha256: str, incoming: Incoming) -> None:
        """Store a blob after `ensure`, unless a whole file is there; that one is not read again.

        Raises: Unavailable (the disk does not take it).
        """
        with _disk_errors():
            if not (incoming.is_stored and self._touch(sha256)):
                path = self._path(sha256)
                path.parent.mkdir(parents=True, exist_ok=True)
                incoming.path.replace(path)

    def _touch(self, sha256: str) -> bool:
        """Set the blob's time of writing to now, by the clock of the file system; False where there is no such blob."""
        try:
            os.utime(self._path(sha256))
        except FileNotFoundError:
            return False
        return True

    def is_whole(self, sha256: str) -> bool:
        """Whether the blob is there, and its bytes have this hash."""
        try:
            with self._path(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False

    def open(self, sha256: str) -> BinaryIO | None:
        """The whole file at its begin; None where it is missing, or damaged: the disk cannot read it, or its hash is
        another. It is read in parts: a blob may be larger than the memory.

        Raises: Unavailable (it cannot be read just now).
        """
        with ExitStack() as on_failure:
            try:
                file = on_failure.enter_context(self._path(sha256).open("rb"))
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            except OSError as error:
                if error.errno in LOST:
                    return None
                raise Unavailable(f"The checkpoint could not be read ({error.strerror}); try again later.") from error
            if not is_whole:
                return None
            file.seek(0)
            on_failure.pop_all()
            return file

    def is_readable(self, sha256: str) -> bool:
        """Whether `open` gives it. Raises: Unavailable."""
        file = self.open(sha256)
        if file is not None:
            file.close()
        return file is not None

    def delete(self, sha256: str) -> None:
        """Delete the blob, if there is one."""
        self._path(sha256).unlink(missing_ok=True)

    def disk(self) -> room.Disk | None:
        """The disk that the blobs are on."""
        return room.disk_of(self._folder)

    def require_room(self) -> None:
        """Raises: Unavailable (the disk is full or read-only)."""
        room.require_room(self._folder, "the checkpoints")

    def now(self) -> float:
        """The clock of the folder's file system, in seconds: it may be another machine's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        os.utime(self._folder)
        return self._folder.stat().st_mtime

    def written_before(self, cutoff: float) -> Iterator[str]:
        """Hashes of the blobs that were last written before `cutoff`, a time of the clock `now`."""
        return (path.name for path in self._folder.glob("??/*") if not _is_torn(path) and _is_older(path, cutoff))

    def is_older(self, sha256: str, cutoff: float) -> bool:
        """Whether there is such a blob, last written before `cutoff`."""
        return _is_older(self._path(sha256), cutoff)

    def delete_torn(self, cutoff: float) -> None:
        """Delete the torn files of uploads that were interrupted before `cutoff`."""
        for pattern in (f"{TORN}*", f"??/{TORN}*"):
            for path in self._folder.glob(pattern):
                if _is_older(path, cutoff):
                    path.unlink(missing_ok=True)


class Incoming:
    """A blob while it comes: its hash and size so far, in a file that is deleted unless it was stored."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self.size = 0
        self.is_stored = False  # set by `ensure`
        self._file = file
        self._digest = hashlib.sha256()
        self._begin = b""

    @property
    def is_tar(self) -> bool:
        """Whether it is a tar file, as a checkpoint folder is packed."""
        return self._begin[257:262] == b"ustar"

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, part: bytes) -> None:
        """Add the next bytes. Raises: Unavailable (the disk does not take them)."""
        with _disk_errors():
            self._file.write(part)
        self._digest.update(part)
        if len(self._begin) < BEGIN:
            self._begin += part[: BEGIN - len(self._begin)]
        self.size += len(part)

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Delete the file, if it was not stored."""
        with suppress(OSError):  # a full disk: what is left to write is not wanted any more
            self._file.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The checkpoint could not be stored ({error.strerror}); try again later.") from error


def _is_torn(path: Path) -> bool:
    return path.name.startswith(TORN)


def _is_older(path: Path, cutoff: float) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < cutoff
    return False
