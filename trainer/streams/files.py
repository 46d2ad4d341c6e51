"""The arrays in a portion's npz file. Anything may lie there: what cannot be read is refused with a sentence."""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import Final

from numpy.lib import format as npy

from trainer.data.datasets import DataError
from trainer.layers.parameters import Array

ARRAYS: Final = ("X", "y", "class_names")
"""What a portion has, the last if it likes; other arrays in its file are not looked at."""

MOST_BYTES: Final = 1 << 30
"""Of a file, and of each of its arrays as the trainer has it in memory, with 8 bytes for a number."""

WHOLE: Final = "write it under another name and rename it when it is whole"


class Unreadable(DataError):
    """A file that is no portion; `key`: what is wrong with it, or the SHA-256 of its bytes. The same file refused
    under the same key is refused for the same reason."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def arrays_in(path: Path, status: os.stat_result, root: Path) -> tuple[dict[str, Array], str]:
    """The arrays of the file with this status, and the SHA-256 of its bytes.

    Raises:
        Unreadable: no file, outside of root, too large, empty, torn, or of Python objects. OSError.
    """
    name = path.name
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("no file", f"{name} is no file.")
    if not path.resolve().is_relative_to(root):
        raise Unreadable("outside", f"{name} is a link that leads out of the worker's --data folder; put a file there.")
    if status.st_size > MOST_BYTES:
        raise Unreadable("too large", _too_large(f"{name} has {status.st_size} bytes"))
    content = path.read_bytes()
    if not content:
        raise Unreadable("empty", f"{name} is empty; {WHOLE}.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = set(archive.namelist())
            arrays = {array: _array(archive, name, array) for array in ARRAYS if f"{array}.npy" in members}
    except Unreadable:
        raise
    except Exception as error:  # what is no npz file breaks the readers of zip and npy in many ways
        raise Unreadable("torn", f"{name} is torn, or no npz file ({str(error)[:100]}); {WHOLE}.") from None
    return arrays, hashlib.sha256(content).hexdigest()


def _array(archive: zipfile.ZipFile, name: str, array: str) -> Array:
    """Read when its header says that it is one to be read: a small file may unpack to more than the memory holds."""
    with archive.open(f"{array}.npy") as member:
        version = npy.read_magic(member)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(member)
    if dtype.hasobject:
        raise Unreadable("objects", f"{name}: {array} holds Python objects, which are not read; write plain numbers.")
    if math.prod(shape) * max(8, dtype.itemsize) > MOST_BYTES:
        raise Unreadable("too large", _too_large(f"{name}: {array} has shape {shape}"))
    with archive.open(f"{array}.npy") as member:
        found: Array = npy.read_array(member, allow_pickle=False)
    return found


def _too_large(what: str) -> str:
    return f"{what}, more than a portion may have (1 GiB, with 8 bytes a number); write several portions."
