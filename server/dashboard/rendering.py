"""Pages from templates. A page carries no data of studies: its module asks `/v1` for them."""

from __future__ import annotations

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


def page(request: Request, template: str, status: int = 200, **names: object) -> HTMLResponse:
    """The page of a template. `names` are what it shows: every one of them is escaped."""
    has_login = request.app.state.settings.shared_token() is not None
    text = _TEMPLATES.get_template(template).render(path=request.url.path, has_login=has_login, **names)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
