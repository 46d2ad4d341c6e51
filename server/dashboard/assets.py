"""Vega, Vega-Lite and vega-embed as one script, made from what vl-convert has inside; no code of others is in the tree.

The wheel has it (setup.py), so a server needs no vl-convert. In a checkout `python -m server.dashboard.assets` makes
it, as `make install` does; else the first page that asks waits a few seconds for it. It is kept by version beside this
package, or in the user's cache where that cannot be written.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from sturgeon.errors import NotFound
from sturgeon.extras import require
from sturgeon.plots.theme import PALETTE, config

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
        places = folders or [BESIDE, *_user_cache(), _process_folder()]
        there = next((folder / NAME for folder in places if (folder / NAME).is_file()), None)
        return there or _kept(_made(), places)


def _made() -> bytes:
    """In a process of its own: it takes seconds, in which no other thread of this one would run."""
    done = subprocess.run([sys.executable, "-P", "-c", MAKE], capture_output=True, timeout=TIMEOUT_S)
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"Vega's script could not be made: {said}")
    return done.stdout


def _kept(script: bytes, places: Sequence[Path]) -> Path:
    """The file, written whole under its name where that is possible first; older versions there are removed."""
    for folder in places:
        part = folder / f".{NAME}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(script)
            part.replace(folder / NAME)
            for older in folder.glob("vega-*.js"):
                if older.name != NAME:
                    older.unlink(missing_ok=True)
        except OSError:
            if folder == places[-1]:
                raise
            continue
        return folder / NAME
    raise ValueError("name a folder")


@cache
def _process_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"sturgeon-{secrets.token_hex(8)}"


def _user_cache() -> list[Path]:
    try:
        return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sturgeon"]
    except RuntimeError:  # a user without a home
        return []


if __name__ == "__main__":
    vega_script()
