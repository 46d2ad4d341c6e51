"""A folder of blobs named by their hash: written beside, synced, then renamed, so that a torn one never has a name."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sturgeon.errors import Unavailable


class BlobFolder:
    """Blobs in `folder/ab/abcdef..`. All servers of a database share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def write(self, content: bytes) -> str:
        """Keep the bytes; their hash. Raises Unavailable when the disk does not take them."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        if path.exists():
            return sha256
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix="torn-")
            beside = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The checkpoint could not be kept ({error.strerror}); try again later.") from error
        return sha256

    def read(self, sha256: str) -> bytes | None:
        """The bytes; None when they are gone or do not fit their name any more."""
        try:
            content = self._path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    def delete(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)

    def older_than(self, seconds: float, now_s: float) -> Iterator[str]:
        """Hashes of blobs written more than `seconds` before `now_s`, a time of the folder's own file system."""
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < now_s - seconds:
                    yield path.name
