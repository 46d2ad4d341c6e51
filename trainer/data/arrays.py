"""Reading the arrays of an npz file. Their sizes are checked before anything is unpacked: a small file may unpack to
more than the memory holds.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Final

from numpy.lib import format as npy

from trainer.data.errors import DataError
from trainer.layers.parameters import Array
from trainer.memory import memory_problem

ARRAYS: Final = ("X", "y", "X_dev", "y_dev", "X_test", "y_test", "class_names", "synthetic")
"""The arrays of a data set."""

COPIES: Final = 3
"""As 8-byte numbers so many copies of the inputs are made: as they are stored, as float64, and normalised."""


class ArrayError(DataError):
    """An array that is not read: of Python objects, or too large. key: which of the two."""

    def __init__(self, key: str, why: str, *, here_only: bool = False) -> None:
        super().__init__(why, here_only=here_only)
        self.key = key


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of a data set in an npz file, by name.

    Raises: DataError (no npz file, an array that has another name, is of Python objects, or is too large for memory).
    """
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path.name} is not an npz file; save it with numpy.savez.")
    try:
        with zipfile.ZipFile(path) as archive:
            return read_arrays(archive, path.name, ARRAYS)
    except DataError:
        raise
    except Exception as error:  # rubbish makes the readers of zip and npy fail in many ways
        raise DataError(f"{path.name} cannot be read; save arrays of numbers with numpy.savez.") from error


def read_arrays(
    archive: zipfile.ZipFile, name: str, known: Collection[str], most_bytes: int | None = None
) -> dict[str, Array]:
    """The arrays of an archive by name. most_bytes: of an array in memory, with 8 bytes for a number.

    Raises: ArrayError (of Python objects, or too large), DataError (another array than the known ones); and whatever
    zipfile and numpy raise for a torn file.
    """
    members = [member.removesuffix(".npy") for member in archive.namelist()]
    require_known(name, members, known)
    size = unpacked_size(archive, name, most_bytes)
    if most_bytes is None and (problem := memory_problem(f"{name}, unpacked,", COPIES * size)):
        raise ArrayError("too large", problem, here_only=True)
    arrays = {}
    for array in members:
        with archive.open(f"{array}.npy") as member:
            arrays[array] = npy.read_array(member, allow_pickle=False)
    return arrays


def unpacked_size(archive: zipfile.ZipFile, name: str, most_bytes: int | None = None) -> int:
    """Bytes that the arrays of an archive take, with 8 bytes for a number; only their headers are read.

    Raises: ArrayError (of Python objects, or one is larger than most_bytes), and what zipfile and numpy raise.
    """
    size = 0
    for file in archive.namelist():
        with archive.open(file) as member:
            size += _size(member, name, file.removesuffix(".npy"), most_bytes)
    return size


def require_known(name: str, arrays: Collection[str], known: Collection[str]) -> None:
    """Raises: DataError (an array would not be read)."""
    for array in arrays:
        if array not in known:
            part = {"val": "dev", "valid": "dev", "validation": "dev"}.get(array.partition("_")[2].lower())
            meant = f"{array.partition('_')[0]}_{part}"
            hint = f"call it {meant}" if meant in known else "leave it out"
            raise DataError(
                f"{name} has an array {array[:40]!r}, which is not read; {hint}. Read are {', '.join(known)}."
            )


def _size(member: IO[bytes], name: str, array: str, most_bytes: int | None) -> int:
    """Bytes of an array with 8 bytes for a number, by its header."""
    version = npy.read_magic(member)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = header(member)
    if dtype.hasobject:
        raise ArrayError("objects", f"{name}: {array} holds Python objects, which are not read; write numbers.")
    size = math.prod(shape) * max(8, dtype.itemsize)
    if most_bytes is not None and size > most_bytes:
        raise ArrayError("too large", f"{name}: {array} has shape {shape}")
    return size
