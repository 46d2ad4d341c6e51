"""Reading the arrays of a portion's npz file, which may hold anything: a bad one is refused with a sentence."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Final

from trainer.data.arrays import ArrayError
from trainer.data.arrays import read_arrays as read_members
from trainer.data.errors import DataError
from trainer.layers.parameters import Array

ARRAYS: Final = ("X", "y", "class_names")
"""The arrays of a portion; class_names may be missing. A file with other arrays is refused."""

MOST_BYTES: Final = 1 << 30
"""The largest size of a file, and of each of its arrays in memory, with 8 bytes for a number."""

WHOLE: Final = "write it under another name and rename it when it is whole"


class UnreadableFile(DataError):
    """A file that cannot be a portion. key: what is wrong with it, or the SHA-256 of its bytes; a file that is refused
    twice under one key is refused for one reason, which is reported once.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def read_arrays(path: Path, status: os.stat_result, root: Path) -> tuple[dict[str, Array], str]:
    """The arrays of a file by name, and the SHA-256 of its bytes. status: of the file.

    Raises: UnreadableFile (no regular file, outside of root, too large, empty, torn, or of Python objects), OSError.
    """
    name = path.name
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile("no file", f"{name} is not a file.")
    if not path.resolve().is_relative_to(root):
        raise UnreadableFile(
            "outside", f"{name} is a link that leads out of the worker's --data folder; put a file there."
        )
    if status.st_size > MOST_BYTES:
        raise UnreadableFile("too large", _too_large(f"{name} has {status.st_size} bytes"))
    content = path.read_bytes()
    if not content:
        raise UnreadableFile("empty", f"{name} is empty; {WHOLE}.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = read_members(archive, name, ARRAYS, MOST_BYTES)
    except ArrayError as error:
        raise UnreadableFile(error.key, _too_large(str(error)) if error.key == "too large" else str(error)) from None
    except DataError as error:
        raise UnreadableFile(hashlib.sha256(content).hexdigest(), str(error)) from None
    except Exception as error:  # rubbish makes the readers of zip and npy fail in many ways
        raise UnreadableFile("torn", f"{name} is torn, or not an npz file ({str(error)[:100]}); {WHOLE}.") from None
    return arrays, hashlib.sha256(content).hexdigest()


def _too_large(what: str) -> str:
    return f"{what}, more than a portion may have (1 GiB, with 8 bytes a number); write several portions."
