"""Importing this module makes the imports of `server`, `worker` and `trainer` find our packages, and no file of a user.

Those names are plain ones. With PYTHONPATH=., a server.py in the current folder would otherwise be taken for our
package. Only our own programs import this module: in a script that imports `sturgeon`, the user's files come first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

OURS: Final = frozenset({"sturgeon", "server", "worker", "trainer", "migrations"})
FOLDER: Final = str(Path(__file__).resolve().parents[1])


class OursFirst:
    """A finder that knows our packages, and where they are."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG004 - the shape of a finder
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [FOLDER], target) if name in OURS else None


if OursFirst not in sys.meta_path:
    sys.meta_path.insert(0, OursFirst)
