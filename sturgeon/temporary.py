"""Temporary folders and files of processes that may be killed: the next of the same kind deletes what they left.

Each is locked by its process for as long as that lives, also by what was forked from it. What is not locked is left
over. Of folders, only those with a lock that this machine made: another machine may see no locks of ours.
"""

from __future__ import annotations

import glob
import os
import platform
import secrets
import shutil
import stat
import sys
import tempfile
import time
import weakref
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, BinaryIO, Final, Self

if sys.platform != "win32":
    import fcntl

LOCK: Final = ".sturgeon.lock"
"""In a folder, the file that its process holds locked; it names the machine."""
RANDOM: Final = "?" * 8
"""What `mkdtemp` adds to a kind."""
TORN: Final = ".torn"
TORN_AFTER_S: Final = 3600.0


def machine() -> bytes:
    """What the locks of this machine say."""
    return platform.node().encode(errors="replace")


class TemporaryFolder:
    """A new folder in that for temporary files, named by its kind and eight random characters.

    It is deleted by `delete`, at the end of a `with`, or (`at_exit`) when this process ends; not by a process that was
    forked from it.
    """

    def __init__(self, kind: str, *, at_exit: bool = True) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=kind))
        self._finalizer = weakref.finalize(self, _delete, self.path, _held(self.path), os.getpid())
        self._finalizer.atexit = at_exit

    def delete(self) -> None:
        if (left := self._finalizer.detach()) is not None:  # calling it does nothing late in a process's end
            _, delete, arguments, _ = left
            delete(*arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()


def _held(folder: Path) -> IO[bytes] | None:
    """The lock of a new folder. None where the file system has no locks: then nobody will sweep the folder."""
    lock = (folder / f"{LOCK}.new").open("wb", buffering=0)
    if sys.platform != "win32":
        with suppress(OSError):
            lock.write(machine())
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(lock.name).rename(folder / LOCK)  # whoever finds it under this name finds it held
            return lock
    lock.close()
    return None


def _delete(folder: Path, lock: IO[bytes] | None, pid: int) -> None:
    if os.getpid() == pid:
        remove(folder)
    if lock is not None:
        lock.close()


def sweep_once(kind: str) -> None:
    """As `sweep`, the first time that this process asks for it."""
    with suppress(OSError):
        _sweep_once(kind, tempfile.gettempdir())


@cache
def _sweep_once(kind: str, _folder: str) -> None:
    sweep(kind)


def sweep(kind: str, spared: Container[str] = ()) -> None:
    """Delete this user's folders of a kind whose processes are dead, but for those that are `spared`."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # there is no folder for temporary files
        for folder in Path(tempfile.gettempdir()).glob(f"{kind}{RANDOM}"):
            # It may have just been deleted, have no lock yet, be in use, or be another user's.
            with suppress(OSError), _lock_of(folder) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if str(folder) not in spared and os.read(lock, 1000) == machine():
                    remove(folder)


@contextmanager
def _lock_of(folder: Path) -> Iterator[int]:
    """Raises: OSError (it is not ours)."""
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not be waited for
    try:
        yield lock
    finally:
        os.close(lock)


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it, also where programs have forbidden it, as far as that can be done; its
    lock at last, so that the next sweep does what is left."""
    make_removable(folder)
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] in ([], [LOCK]):
            shutil.rmtree(folder, ignore_errors=True)


def make_removable(folder: Path) -> None:
    """Allow this user to change the folder and those below it."""
    with suppress(OSError):
        folder.chmod(0o700)
    for place, names, _ in os.walk(folder):  # from the top down: what was forbidden is then looked into
        for path in (Path(place) / name for name in names):
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(0o700)


def _lock_if_possible(file: BinaryIO) -> None:
    """Lock a file, unless its file system has no locks: then its age alone tells. Raises: BlockingIOError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass


@contextmanager
def written_beside(file: Path) -> Iterator[Path]:
    """A new, empty file beside that one, which takes its name when the `with` ends; it is deleted where that raises.
    Those that killed processes have left are deleted. Raises: OSError."""
    delete_torn(file.parent, f".{glob.escape(file.name)}.{RANDOM}{TORN}")
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}{TORN}")
    with part.open("xb") as opened:
        try:
            if sys.platform != "win32":
                _lock_if_possible(opened)
            else:
                opened.close()  # an open file cannot be renamed
            yield part
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def delete_torn(folder: Path, pattern: str) -> None:
    """Delete the files of a pattern that nobody has locked, nor written to for an hour: who wrote them was killed."""
    with suppress(OSError):
        for path in folder.glob(pattern):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode) and about.st_mtime < time.time() - TORN_AFTER_S:
                with suppress(OSError), path.open("rb+") as torn:
                    if sys.platform != "win32":
                        _lock_if_possible(torn)
                    path.unlink()
