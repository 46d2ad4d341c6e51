"""A small disk that a test fills: a file system in memory of so many bytes, which only root can mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

FULL = "No space left on device"


class SmallDisk:
    """A mounted folder that takes no more than it was made for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all room that is left, to the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            part = 65_536
            while part:
                with suppress(OSError):
                    while file.write(bytes(part)) == part:
                        pass
                part //= 2
        assert os.statvfs(self.folder).f_bavail == 0

    def make_room(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount one; skip the test where that is not allowed. size: as mount takes it, such as `4m`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("A small disk to be filled is a mount, which takes root.")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
