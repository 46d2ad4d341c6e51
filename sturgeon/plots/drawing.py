"""Pictures as files: PNG, SVG, a page that needs nothing else, or the specification. No browser is needed."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import Any, Final, Literal, get_args

from sturgeon.extras import require
from sturgeon.plots.specs import VEGA_LITE, Spec, themed
from sturgeon.plots.theme import PALETTE, Theme

Format = Literal["png", "svg", "html", "json"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
SCALE: Final = 2.0
"""Pixels of a PNG for each of the picture, for screens that have many."""

VEGA_LITE_VERSION: Final = "6.4"

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 1rem; background: {background}; }}</style>
</head>
<body>
<div id="picture"></div>
<script id="specification" type="application/json">{spec}</script>
<script type="module">{bundle}</script>
<script type="module">
const spec = JSON.parse(document.getElementById("specification").textContent);
vegaEmbed("#picture", spec, {{ ast: true, actions: false }});
</script>
</body>
</html>
"""


def drawn(spec: Spec, format_: Format, theme: Theme = "light", scale: float = SCALE) -> bytes:
    """A picture as the bytes of a file; the page has Vega inside, and can be zoomed and pointed at.

    Raises: MissingExtra (vl-convert is not installed; a specification needs none).
    """
    coloured = themed(spec, theme)
    if format_ == "json":
        return json.dumps(coloured, ensure_ascii=False, indent=1, allow_nan=False).encode()
    require("plots", "A picture in a file")
    if format_ == "html":
        return _page(coloured, theme).encode()
    return _converted(coloured, format_, scale)


def _converted(spec: Spec, format_: Literal["png", "svg"], scale: float) -> bytes:
    import vl_convert

    if spec["$schema"] == VEGA_LITE:
        lite: dict[str, Any] = {"vl_spec": spec, "vl_version": VEGA_LITE_VERSION}
        if format_ == "png":
            return vl_convert.vegalite_to_png(**lite, scale=scale)
        return vl_convert.vegalite_to_svg(**lite).encode()
    return vl_convert.vega_to_png(spec, scale=scale) if format_ == "png" else vl_convert.vega_to_svg(spec).encode()


def _page(spec: Spec, theme: Theme) -> str:
    """No text can end its script: `<` is written as JSON's own escape."""
    text = json.dumps(spec, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    title = spec.get("title", {}).get("text", "")
    background = PALETTE[theme]["background"]
    return PAGE.format(title=escape(title), background=background, spec=text, bundle=_bundle())


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script; it takes seconds, once a process."""
    import vl_convert

    script: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub asks for a snippet
    return script.replace("</script", "<\\/script")
