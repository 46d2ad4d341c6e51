"""Pages from templates. A page carries no data of studies: its module asks `/v1` for them."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.dashboard.assets import VEGA_URL

FOLDER: Final = Path(__file__).parent
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TEMPLATES.globals["version"] = version("sturgeon")
_TEMPLATES.globals["vega"] = VEGA_URL


@cache
def imported(module: str) -> list[str]:
    """The addresses of all modules that those in this markup import, so that a browser loads them at once, and not one
    after the other as it meets their names."""
    found: dict[str, None] = {}
    left = re.findall(r'src="(/static/js/[^"]+)"', module)
    while left:
        file = FOLDER / left.pop().removeprefix("/")
        for named in re.findall(r'from "(\.[^"]+)";', file.read_text(encoding="utf-8")):
            address = "/" + (file.parent / named).resolve().relative_to(FOLDER).as_posix()
            if address not in found:
                found[address] = None
                left.append(address)
    return list(found)


_TEMPLATES.globals["imported"] = imported


def page(request: Request, template: str, status: int = 200, **names: object) -> HTMLResponse:
    """The page of a template. `names` are what it shows: every one of them is escaped."""
    has_login = request.app.state.shared_token is not None
    text = _TEMPLATES.get_template(template).render(path=request.url.path, has_login=has_login, **names)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
