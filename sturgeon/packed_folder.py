"""A program's checkpoint folder as one file: packed when it is whole, and unpacked where a run goes on.

The file is an uncompressed tar of the folder's files, folders and links in the order of their names, with the times of
their last change and no owners; so an unchanged folder gives the same bytes. Its first member, `MEMORY`, is ours: what
the worker has to know of the run.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from sturgeon.temporary import make_removable
from sturgeon.trial_process import folder_state
from sturgeon.values import LARGEST_INT

MEMORY: Final = ".sturgeon.json"
LARGEST_MEMORY: Final = 1_000_000
MOST_FILES: Final = 100_000


class NotPacked(Exception):
    """The folder cannot be packed; one sentence says why."""


class Damaged(Exception):
    """The bytes are no packed folder that can be unpacked; one sentence says why."""


def pack(folder: Path, file: Path, memory: Mapping[str, object], most_bytes: int, state: str = "") -> bool:
    """Write a folder into a file. Whether it worked: false where the folder was changed meanwhile, or is not in the
    `state` that is given.

    Raises: NotPacked (it is too large, or cannot be read).
    """
    before = folder_state(folder)
    if state and before != state:
        return False
    try:
        members = _members(folder)
        size = sum(one.size for one, _ in members)
        if size > most_bytes:
            raise NotPacked(f"the checkpoint folder has {size / 1e6:.0f} MB, more than {most_bytes / 1e6:.0f} MB")
        with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as packed:
            _add(packed, _info(MEMORY), json.dumps(memory, sort_keys=True).encode())
            for info, path in members:
                if info.isreg():
                    with path.open("rb") as content:
                        packed.addfile(info, content)
                else:
                    packed.addfile(info)
    except FileNotFoundError:  # a file of the folder is gone: it is being changed
        return False
    except OSError as error:
        if folder_state(folder) != before:
            return False
        raise NotPacked(f"the checkpoint folder cannot be packed: {error.strerror or error}") from None
    return folder_state(folder) == before


def _members(folder: Path) -> list[tuple[tarfile.TarInfo, Path]]:
    """All files, folders and links, by name; sockets, pipes and devices are left out. Raises: NotPacked, OSError."""
    members = []
    for path in _walk(folder):
        about = path.lstat()
        info = _info(path.relative_to(folder).as_posix())
        info.mtime = 0 if stat.S_ISLNK(about.st_mode) else round(about.st_mtime, 3)  # a float cannot say more
        info.mode = 0o755 if about.st_mode & 0o100 else 0o644
        if stat.S_ISREG(about.st_mode):
            info.size = about.st_size
        elif stat.S_ISDIR(about.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(about.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, _inner_target(path, folder)
        else:
            continue
        members.append((info, path))
        if len(members) > MOST_FILES:
            raise NotPacked(f"the checkpoint folder has over {MOST_FILES} files")
    return members


def _inner_target(link: Path, folder: Path) -> str:
    """Where a link leads, from its own folder on: another worker has another path. Raises: NotPacked, OSError."""
    if not _is_within(link, folder):  # it would be refused where the run goes on
        raise NotPacked(f"the link {link.relative_to(folder)} leads out of the checkpoint folder")
    target = link.readlink()
    if target.is_absolute():
        return os.path.relpath(os.path.realpath(target), os.path.realpath(link.parent))
    return str(target)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == MEMORY and path.parent == folder:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _info(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    return info


def _add(packed: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
    info.size = len(content)
    packed.addfile(info, io.BytesIO(content))


def unpack(content: bytes, folder: Path) -> dict[str, object]:
    """Make the folder what it was when it was packed, in place of what it has now; the memory that came with it.

    Nothing is written outside of it, whatever the bytes are. Raises: Damaged (the folder is then empty),
    OSError (the disk is full).
    """
    empty(folder)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as packed:
            memory, members = _memory(packed), packed.getmembers()
            if sum(member.size for member in members) > len(content):
                raise Damaged("the checkpoint says that it is larger than it is")
            _extract(packed, [one for one in members if one.name != MEMORY], folder)
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError, RecursionError) as error:
        empty(folder)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Damaged(f"the checkpoint is no whole folder: {error}") from None
    except Damaged:
        empty(folder)
        raise
    return memory


def _extract(packed: tarfile.TarFile, members: Sequence[tarfile.TarInfo], folder: Path) -> None:
    """Write what `pack` packs: files, folders, and links that stay in the folder. Anything else is refused.

    `TarFile.extractall` is safe with its `filter` alone, which Python has from 3.11.4 on.
    Raises: ValueError (a member is of another kind, or leads out of the folder), OSError, tarfile.TarError.
    """
    times, links = [], []
    for member in members:
        name = member.name.lstrip("/")
        path = folder / name
        if ".." in Path(name).parts or not _is_within(path.parent, folder):
            raise ValueError(f"{name} leads out of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            path.symlink_to(member.linkname)
            links.append(path)
            continue
        if member.isdir():
            path.mkdir(exist_ok=True)
        elif member.isreg() and (content := packed.extractfile(member)) is not None:
            with content, path.open("xb") as file:  # x: no link of this name is followed
                shutil.copyfileobj(content, file)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise ValueError(f"{name} is no file, folder or link")
        times.append((path, member.mtime))
    for link in links:  # in the end: where a link leads may depend on another one
        if link.readlink().is_absolute() or not _is_within(link, folder):
            raise ValueError(f"{link.name} is a link that leads out of the folder")
    for path, changed in reversed(times):  # a folder's after those of what is in it
        os.utime(path, (changed, changed))


def _is_within(path: Path, folder: Path) -> bool:
    """Whether a path leads into the folder, its links followed as far as they are there."""
    inside = Path(os.path.realpath(folder))
    return Path(os.path.realpath(path)).is_relative_to(inside)


def _memory(packed: tarfile.TarFile) -> dict[str, object]:
    first = packed.next()
    if first is None or first.name != MEMORY or not first.isreg() or first.size > LARGEST_MEMORY:
        return {}
    content = packed.extractfile(first)
    assert content is not None
    memory = json.loads(content.read(), parse_int=_moderate, parse_float=_moderate, parse_constant=_moderate)
    return memory if isinstance(memory, dict) else {}


def _moderate(text: str) -> int | float:
    """A number that a run can have reported, or its step. Raises: ValueError."""
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    if isinstance(number, int) and abs(number) > LARGEST_INT:
        raise ValueError(f"its memory has a number that is too large: {text[:30]}")
    if not math.isfinite(number):
        raise ValueError(f"its memory has a number that is not finite: {text[:30]}")
    return number


def empty(folder: Path) -> None:
    """Make the folder, with nothing in it."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if folder.exists():
        make_removable(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
