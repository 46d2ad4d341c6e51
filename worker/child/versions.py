"""The fingerprint of the files that a run reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sturgeon.values import Json

WHOLE: Final = 2**28
"""Files of up to so many bytes are read as a whole; of a larger one the first and the last half of that."""

PART: Final = 2**20
MOST_FILES: Final = 10_000
"""Of a folder with more files, only the names and sizes of the others count."""


def data_version(paths: Sequence[Path]) -> Json | None:
    """The fingerprint of files, and of all files below folders, as a `messages.DataVersion` has it. The same files in
    another place have the same one. None where there is nothing to read. Raises: OSError."""
    whole, count, size, partial = hashlib.sha256(), 0, 0, False
    for name, file in _files(paths):
        length = file.stat().st_size
        is_whole = length <= WHOLE and count < MOST_FILES
        whole.update(f"{name}\0{length}\0".encode(errors="surrogateescape"))
        if count < MOST_FILES:
            whole.update(_content(file, length).digest())
        count, size, partial = count + 1, size + length, partial or not is_whole
    return {"sha256": whole.hexdigest(), "files": count, "size": size, "partial": partial} if count else None


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Each file, by a name that does not depend on where it lies, in an order that does not either."""
    for path in paths:
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.is_file())
            yield from ((file.relative_to(path).as_posix(), file) for file in below)
        elif path.is_file():
            yield path.name, path


def _content(file: Path, length: int) -> hashlib._Hash:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        if length <= WHOLE:
            while part := opened.read(PART):
                digest.update(part)
        else:
            digest.update(opened.read(WHOLE // 2))
            opened.seek(length - WHOLE // 2)
            digest.update(opened.read(WHOLE // 2))
    return digest
