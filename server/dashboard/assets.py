"""Vega, Vega-Lite and vega-embed as one script, made from what vl-convert has inside; no code of others is in the tree.

The wheel has it (setup.py), so a server needs no vl-convert. In a checkout `python -m server.dashboard.assets` makes
it, as `make install` does; else the first page that asks waits a few seconds for it. It is kept by version beside this
package, or in the user's cache where that cannot be written.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from sturgeon.errors import NotFound
from sturgeon.extras import require
from sturgeon.plots.theme import PALETTE, config
from sturgeon.temporary import TemporaryFolder, sweep_once, written_beside

router = APIRouter(include_in_schema=False)

BESIDE: Final = Path(__file__).parent / "made"


def version_of(made: Path) -> str:
    """That of vl-convert, if it is installed, else that of the script in this folder; "none" if there is none."""
    try:
        return version("vl-convert-python")
    except PackageNotFoundError:
        return max((file.stem.removeprefix("vega-") for file in made.glob("vega-*.js")), default="none")


VERSION: Final = version_of(BESIDE)
NAME: Final = f"vega-{VERSION}.js"
VEGA_URL: Final = f"/static/{NAME}"
"""Where pages find it: a module that sets `window.vega`, `vegaLite` and `vegaEmbed`."""

MAKE: Final = "import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"
TIMEOUT_S: Final = 300.0
FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
KIND: Final = "sturgeon-page-"
_of_this_process: Final[list[TemporaryFolder]] = []
_making: Final = Lock()


@router.get("/static/vega-{version}.js")
def vega(version: str) -> Response:
    """The script of this version; a browser need never ask for it again."""
    if version != VERSION:
        raise NotFound(f"This server has {VEGA_URL}.")
    if VERSION == "none":
        require("plots", "Vega's script")
    return FileResponse(vega_script(), media_type="text/javascript", headers=FOR_EVER)


@router.get("/static/vega-themes.json")
def themes() -> dict[str, Any]:
    """The configuration of all pictures for each theme, in the colours of the style sheet."""
    return {theme: config(theme) for theme in PALETTE}


def vega_script(folders: Sequence[Path] | None = None) -> Path:
    """The file of the script, made now if it is not there yet; several seconds then. Threads may call it at once.

    folders: where it may be; it is put into the first that can be written. By default beside this package, in the
    user's cache, and in a folder of this process.
    Raises: RuntimeError (it cannot be made), OSError (it cannot be written anywhere).
    """
    with _making:
        places = folders or [BESIDE, *_user_cache(), *(folder.path for folder in _of_this_process)]
        there = next((folder / NAME for folder in places if (folder / NAME).is_file()), None)
        return there or _kept(_made(), places, is_last=folders is not None)


def _made() -> bytes:
    """In a process of its own: it takes seconds, in which no other thread of this one would run."""
    done = subprocess.run([sys.executable, "-P", "-c", MAKE], capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"Vega's script could not be made: {said}")
    return done.stdout


def _kept(script: bytes, places: Sequence[Path], *, is_last: bool) -> Path:
    """The file, written where that is possible first. is_last: if it is not, in no folder of this process either."""
    for folder in places:
        try:
            return _written(script, folder)
        except OSError:
            if is_last and folder == places[-1]:
                raise
    sweep_once(KIND)
    _of_this_process.append(TemporaryFolder(KIND))
    return _written(script, _of_this_process[-1].path)


def _written(script: bytes, folder: Path) -> Path:
    """The file, whole under its name; older versions there are removed. Raises: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(folder / NAME) as part:
        part.write_bytes(script)
    for older in folder.glob("vega-*.js"):
        if older.name != NAME:
            older.unlink(missing_ok=True)
    return folder / NAME


def _user_cache() -> list[Path]:
    try:
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sturgeon"]
    except RuntimeError:  # a user without a home
        return []


if __name__ == "__main__":
    vega_script()
