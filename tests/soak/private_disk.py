"""A small disk of this process and its children, which can be filled without harm to anybody else."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x20000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
MB: Final = 1_000_000


class PrivateDisk:
    """A file system in memory. It is mounted in a namespace of this process, so it is gone when the last process of the
    soak has ended, however that ended.

    Raises: OSError (only root may mount, and not everywhere).
    """

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder, self._filler = folder, folder / "filler"
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.unshare(CLONE_NEWNS) == 0
        done = done and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
        options = f"size={size_mb}m,mode=755".encode()
        if not (done and libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options) == 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def fill(self) -> None:
        """Take all that is free, also what is freed meanwhile in the first moments."""
        with self._filler.open("ab") as file:
            while free := _free(self.folder):
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)
                except OSError:  # somebody took some of it
                    break

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", self.folder], check=False)


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
