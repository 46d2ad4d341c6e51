"""Which version of the code stands in a folder, by git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any, Final

TIMEOUT_S: Final = 2.0


def code_version(folder: Path | None = None) -> dict[str, Any] | None:
    """The commit that is checked out around the folder (by default that of this process), and whether files differ from
    it, as a `messages.CodeVersion` has them. None where there is no commit, or no git."""
    place = folder or Path()
    try:
        commit = _git(place, "rev-parse", "HEAD").decode().strip()
        status = _git(place, "status", "--porcelain")
        if not status:
            return {"commit": commit, "dirty": False}
        # Of new files the status has the names only.
        diff = hashlib.sha256(status + _git(place, "diff", "HEAD", "--no-ext-diff", "--binary")).hexdigest()[:16]
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return {"commit": commit, "dirty": True, "diff": diff}


def _git(folder: Path, *arguments: str) -> bytes:
    # Without locks that a person's own git would wait for, and without settings of the environment for another tree.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    ).stdout
