"""A folder of blobs named by their hash. A blob is written under another name, synced, then renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sturgeon.errors import Unavailable

TORN: Final = "torn-"


class BlobFolder:
    """Blobs in `folder/ab/abcdef..`. All servers of a database share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def write(self, content: bytes) -> str:
        """Store the bytes; return their hash. Raises: Unavailable (the disk does not take them)."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.ensure(sha256, content)
        return sha256

    def ensure(self, sha256: str, content: bytes) -> None:
        """Store the bytes of this hash; where they are stored already and whole, they count as written now.

        Raises: Unavailable (the disk does not take them).
        """
        self._store(sha256, content, anew=self.read(sha256) is None)

    def keep(self, sha256: str, content: bytes) -> None:
        """As `ensure`, and called after it: a file that is there is not read again.

        Raises: Unavailable (the disk does not take them).
        """
        self._store(sha256, content, anew=False)

    def _store(self, sha256: str, content: bytes, *, anew: bool) -> None:
        try:
            if anew or not self._touch(sha256):
                self._write_beside(self._path(sha256), content)
        except OSError as error:
            raise Unavailable(f"The checkpoint could not be stored ({error.strerror}); try again later.") from error

    def _touch(self, sha256: str) -> bool:
        """Set the blob's time of writing to now, by the clock of the file system; False where there is no such blob."""
        try:
            os.utime(self._path(sha256))
        except FileNotFoundError:
            return False
        return True

    def _write_beside(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TORN)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def read(self, sha256: str) -> bytes | None:
        """The bytes; None where they are missing, or damaged so that their hash is another."""
        try:
            content = self._path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    def delete(self, sha256: str) -> None:
        """Delete the blob, if there is one."""
        self._path(sha256).unlink(missing_ok=True)

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
        for path in self._folder.glob(f"??/{TORN}*"):
            if _is_older(path, cutoff):
                path.unlink(missing_ok=True)


def _is_torn(path: Path) -> bool:
    return path.name.startswith(TORN)


def _is_older(path: Path, cutoff: float) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < cutoff
    return False
