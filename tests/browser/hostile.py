"""Texts that would do harm if a page took them for more than text. Whatever they start calls `pwned`."""

from __future__ import annotations

from typing import Final

MARKUP: Final = (
    "<script>pwned('script')</script>",
    "<img src=x onerror=pwned('image')>",
    "<svg/onload=pwned('svg')>",
    "</textarea></title></template><script>pwned('closing')</script>",
    '" onmouseover="pwned(1)" x="',
    "' autofocus onfocus='pwned(2)",
    "<a href=\"javascript:pwned('link')\">here</a>",
    "javascript:pwned('address')",
    "&lt;b&gt; &amp;nbsp; &#60;script&#62;",
    "<style>body{display:none}</style>",
    "<iframe srcdoc='<script>parent.pwned(3)</script>'></iframe>",
)
EXPRESSIONS: Final = (
    "{{7*7}} ${7*7} #{7*7} <%= 7*7 %> {% raw %}",
    "{{constructor.constructor('pwned(4)')()}}",
    "datum.number || pwned('vega')",
    "'+pwned('quote')+'",
    '");pwned("double");//',
    "`${pwned('backtick')}`",
    "toString",
    "__proto__",
)
SHAPES: Final = (
    "\u202ereversed\u202c and \u200fmarked",
    "e\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308 stacked",
    "w" * 300,
    "👩‍👩‍👧‍👧 \U0001f9ea 結果 نتيجة",
)
TEXTS: Final = (*MARKUP, *EXPRESSIONS, *SHAPES)
LONG: Final = " · ".join(TEXTS)
"""All of them in one, for fields that take a long text."""

NAMES: Final = (
    "<script>pwned('name')</script>",
    "<b>bold</b>",
    "datum.number || pwned('n')",
    "'+pwned('q')+'",
    "x[0].y",
    "constructor",
    "$&",
)
"""What a parameter and a metric may be called."""

TRAP: Final = """
window.ran = [];
window.pwned = (what) => { window.ran.push(String(what)); };
window.alert = window.confirm = window.prompt = window.pwned;
"""
"""Runs before all scripts of a page."""

HARM: Final = """
() => [
    ...window.ran,
    ...[...document.querySelectorAll("*")].flatMap((one) => [...one.attributes]
        .filter(({name, value}) => name.startsWith("on") || name === "srcdoc"
            || /^(href|src|action|formaction|xlink:href)$/.test(name) && /^\\s*javascript:/i.test(value))
        .map(({name, value}) => `${one.tagName} has ${name}=${value}`)),
    ...[...document.querySelectorAll("iframe, object, embed, style")].map((one) => `${one.tagName} is in the page`),
]
"""
"""What ran, and what of a text became part of the page's markup."""
