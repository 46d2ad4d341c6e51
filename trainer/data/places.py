"""Files and folders of data are below the folders that a worker was given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trainer.data.errors import DataError, DataMissing

READABLE: Final = {"file": os.R_OK, "folder": os.R_OK | os.X_OK}


def find_below(path: str, data_dirs: Sequence[Path], name: str, kind: str = "file") -> Path:
    """The file, or the folder, at a path below one of data_dirs, with all links followed. name: for sentences.

    Raises: DataMissing (it is below none of them, or may not be read), DataError (the path leads out of all folders).
    """
    if Path(os.path.normpath(path)).parts[:1] == (os.pardir,):
        raise DataError(f"{name!r} is no {kind} below the --data folders: the path leads out of them.")
    if not data_dirs:
        raise DataMissing(f"{name!r} cannot be read: this worker was given no --data folder.")
    for root in (Path(each).resolve() for each in data_dirs):
        found = (root / path).resolve()
        if found.is_relative_to(root) and (found.is_file() if kind == "file" else found.is_dir()):
            if not os.access(found, READABLE[kind]):
                raise DataMissing(f"{name!r} may not be read by this worker.")
            return found
    raise DataMissing(f"{name!r} is no {kind} below the --data folders of this worker.")
