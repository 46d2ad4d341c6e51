"""A report as one page: no scripts, nothing to load; each picture is an SVG inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import Final

from sturgeon.cli.report_content import Block, Code, Heading, Picture, Prose, Rows
from sturgeon.plots.drawing import drawn
from sturgeon.plots.theme import PALETTE

STYLE: Final = """
body { margin: 0 auto; max-width: 52rem; padding: 2.5rem 1.5rem 4rem; background: BACKGROUND; color: TEXT;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid LINE; }
p { margin: 0 0 .75rem; white-space: pre-line; }
p.strong { font-size: 1.1rem; font-weight: 600; }
.made, figcaption { color: MUTED; font-size: .875rem; }
table { border-collapse: collapse; margin: 0 0 1rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid LINE; }
th { font-weight: 500; color: MUTED; }
.number { text-align: right; }
figure { margin: 0 0 1.75rem; }
figure img { display: block; max-width: 100%; height: auto; }
pre { background: CODE; padding: .75rem 1rem; overflow-x: auto; font-size: .8125rem; line-height: 1.5;
  overflow-wrap: normal; border-radius: 4px; }
@media print { body { max-width: none; padding: 0; } figure, table { break-inside: avoid; } }
"""

STRONG: Final = ' class="strong"'

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="made">{made}</p>
{body}
</body>
</html>
"""


def as_html(title: str, made: str, blocks: Iterable[Block]) -> bytes:
    """The page. Every text is escaped, and its own policy lets no script run."""
    body = "\n".join(map(_block, blocks))
    return PAGE.format(title=escape(title), made=escape(made), style=_style(), body=body).encode()


def _style() -> str:
    colours = PALETTE["light"]
    style = STYLE.replace("CODE", "#f1f5f5")
    for name in ("background", "text", "line", "muted"):
        style = style.replace(name.upper(), colours[name])
    return style


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Prose(text, strong):
            return f"<p{STRONG if strong else ''}>{escape(text)}</p>"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Picture(kind, spec, caption):
            data = base64.b64encode(drawn(spec, "svg")).decode()
            image = f'<img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
            return f'<figure id="{kind}">{image}<figcaption>{escape(caption)}</figcaption></figure>'
        case Rows():
            return _table(block)


def _table(table: Rows) -> str:
    head = _row("th", table.columns, table) if table.columns else ""
    rows = [_row("td", row, table) for row in table.rows]
    if not table.columns:
        rows = [f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in table.rows]
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _row(tag: str, cells: Iterable[str], table: Rows) -> str:
    classes = (
        ' class="number"' if at in table.numbers else "" for at, _ in enumerate(table.rows[0] if table.rows else ())
    )
    named = zip(cells, classes, strict=False)
    return f"<tr>{''.join(f'<{tag}{name}>{escape(text)}</{tag}>' for text, name in named)}</tr>"
