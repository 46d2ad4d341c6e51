"""Files that are still there, and whole, after the machine lost its power."""

from __future__ import annotations

import os
from pathlib import Path


def write_synced(file: Path, content: bytes) -> None:
    """Write a file to the disk. Its name is there after `sync_names`. Raises: OSError."""
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def sync_names(folder: Path) -> None:
    """Write to the disk which files are in a folder. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
